"""English lemmas: a table of irregular forms, then the rules of inflection (plural, -ed, -ing)."""

from __future__ import annotations

import re

_VERBS = """
be am is are was were been being|have has had having|do does did done|go goes went gone|say said|see saw seen|get got gotten
make made|know knew known|think thought|take took taken|come came|give gave given|find found|tell told|feel felt|become became
leave left|put|mean meant|keep kept|let|begin began begun|show shown|hear heard|run ran|move|hold held|bring brought
write wrote written|sit sat|stand stood|lose lost|pay paid|meet met|lead led|understand understood|speak spoke spoken
read|spend spent|grow grew grown|win won|buy bought|send sent|build built|fall fell fallen|cut|sell sold|draw drew drawn
drive drove driven|break broke broken|eat ate eaten|choose chose chosen|rise rose risen|wear wore worn|catch caught
teach taught|fight fought|throw threw thrown|fly flew flown|forget forgot forgotten|sleep slept|sing sang sung
swim swam swum|drink drank drunk|ride rode ridden|ring rang rung|shake shook shaken|steal stole stolen|wake woke woken
bite bit bitten|blow blew blown|hide hid hidden|freeze froze frozen|forgive forgave forgiven|tear tore torn|swear swore sworn
seek sought|shoot shot|stick stuck|strike struck|sweep swept|bend bent|lend lent|deal dealt|dig dug|feed fed|hang hung
lay laid|lie lain|light lit|slide slid|spin spun|bind bound|wind wound|weep wept|creep crept|breed bred|flee fled
succeed|proceed|exceed|indeed|this|his
"""
_NOUNS = """
man men|woman women|child children|person people|foot feet|tooth teeth|goose geese|mouse mice|ox oxen|wife wives
life lives|knife knives|leaf leaves|wolf wolves|shelf shelves|half halves|thief thieves|self selves|datum data|index indices
matrix matrices|vertex vertices|analysis analyses|crisis crises|thesis theses|hypothesis hypotheses|criterion criteria
phenomenon phenomena|good better best|bad worse worst|far further furthest
"""
IRREGULAR: dict[str, str] = {
    form: words[0] for entry in re.split(r"[|\n]", _NOUNS + _VERBS) if (words := entry.split()) for form in words
}
"""Irregular form -> lemma; the lemmas stand for themselves."""

_VOWEL = re.compile(r"[aeiou]|(?<=[^aeiou])y")
_SHORT = re.compile(r"^[^aeiou]*[aeiouy][^aeiouywx]$")


def _repaired(stem: str) -> str:
    """Return the verb whose -ed or -ing form was cut to ``stem``: creat to create, runn to run, driv to drive."""
    if stem.endswith(("at", "bl", "iz", "iv", "uc", "rg", "dg")):
        return stem + "e"
    # Three letters that end in two equal ones are a verb as they are: add, err, ebb.
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz":
        return stem[:-1]
    return stem + "e" if _SHORT.match(stem) else stem


def lemma(word: str) -> str:
    """Return the lemma of an English word, in lower case where it changes; a word that no rule knows stays as it is."""
    form = word.lower()
    if form in IRREGULAR:
        return IRREGULAR[form]
    if form.endswith("eed"):
        # agreed, but feed, need, seed: a vowel and a consonant must stand before.
        return form[:-1] if re.search(r"[aeiouy][^aeiouy]+$", form[:-3]) else word
    for ending in ("ing", "ed"):
        stem = form.removesuffix(ending)
        if stem != form and len(stem) > 1 and _VOWEL.search(stem):
            if ending == "ed" and stem.endswith("i"):
                return stem[:-1] + "y"
            return _repaired(stem)
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith(("sses", "shes", "ches", "xes", "zes")):
        return form[:-2]
    if form.endswith("s") and len(form) > 3 and not form.endswith(("ss", "us", "is")):
        return form[:-1]
    return word
