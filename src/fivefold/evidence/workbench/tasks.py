"""Evidence for the task taxonomy: what cards declare is what they do, and combinations that do not fit are refused."""

from __future__ import annotations

import itertools

from fivefold.base.cards import TASKS, Card, all_cards
from fivefold.base.errors import CapabilityError, FivefoldError
from fivefold.evidence import Check, evidence

# Output type by supervision as the source tells it (05#intro-taxonomy, 08#learning-paradigms): labels teach numbers, choices
# and structures; no labels teach groups, codes and structures; a reward teaches actions.
_TABLE = {
    "supervised": {"binary", "multiclass", "multilabel", "regression", "ranking", "generation", "representation"}
    | {"detection", "forecasting", "none"},
    "unsupervised": {"clustering", "generation", "representation", "detection", "none"},
    "reinforcement": {"control", "generation", "ranking", "none"},
}


def _card(kind: str, tasks: tuple[str, ...], supervision: str = "none", name: str = "x") -> Card:
    return Card(id=name, package="p", title="t", kind=kind, summary="s", task=tasks, supervision=supervision)


@evidence(
    "task-registry",
    claim="Of all pairs of task and supervision exactly those of the taxonomy are accepted; every card of ours is one",
    against="the table of the sources",
)
def taxonomy() -> Check:
    from fivefold.workbench.tasks import check_card

    wrong = 0
    for task, supervision in itertools.product(TASKS, _TABLE):
        try:
            check_card(_card("classifier", (task,), supervision))
            accepted = True
        except CapabilityError as error:
            accepted = False
            wrong += task not in str(error) or supervision not in str(error)
        wrong += accepted != (task in _TABLE[supervision])
    for card in all_cards().values():
        wrong += sum(card.supervision != "none" and task not in _TABLE[card.supervision] for task in card.task)
    return Check(wrong, 0, "pairs judged wrongly", "printed table")


@evidence(
    "task-registry",
    claim="A model, a loss and a metric pass together exactly when all three serve the task",
    against="brute force over every combination of three tasks",
)
def combinations() -> Check:
    from fivefold.workbench.tasks import check_combination

    sets = [("binary",), ("multiclass",), ("regression",), ("binary", "multiclass"), ("none",)]
    wrong = 0
    for model, loss, metric in itertools.product(sets, repeat=3):
        for task in ("binary", "multiclass", "regression"):
            fits = all("none" in part or task in part for part in (model, loss, metric))
            try:
                check_combination(
                    _card("classifier", model, name="the-model"),
                    task,
                    _card("loss", loss, name="the-loss"),
                    (_card("metric", metric, name="the-metric"),),
                )
                passed = True
            except CapabilityError as error:
                passed = False
                named = "the-model" if not ("none" in model or task in model) else "the-"
                wrong += named not in str(error) or task not in str(error)
            wrong += passed != fits
    return Check(wrong, 0, "combinations judged wrongly", "brute force")


@evidence(
    "task-registry",
    claim="Specifications with a metric, loss or optimizer of another task are refused before any work",
    against="a list of such specifications",
)
def refused_specs() -> Check:
    from fivefold.workbench.parts import check_spec
    from fivefold.workbench.spec import resolve_spec

    bad = [
        ("logistic-regression", "evaluation.metrics=rmse"),
        ("ridge-regression", "evaluation.metrics=roc-auc"),
        ("logistic-regression", "data.task=regression"),
        ("ridge-regression", "data.task=binary"),
        ("ridge-regression", "optimizer=adam"),
        ("mlp", "optimizer=roc-auc"),
    ]
    good = [
        ("logistic-regression", "evaluation.metrics=accuracy"),
        ("ridge-regression", "evaluation.metrics=mae"),
        ("mlp", "data.task=regression"),
        ("mlp", "optimizer=momentum"),
    ]
    wrong = 0
    for wanted, pairs in ((False, bad), (True, good)):
        for name, override in pairs:
            try:
                check_spec(resolve_spec(name, [override]))
                passed = True
            except FivefoldError:
                passed = False
            wrong += passed != wanted
    return Check(wrong, 0, "wrong verdicts", "a list by hand")


@evidence(
    "task-registry",
    claim="What a card says of classes and numbers is what its estimator tells scikit-learn",
    against="sklearn.utils.get_tags",
    peer="sklearn",
)
def sklearn_tags() -> Check:
    from sklearn.utils import get_tags

    wrong, count = 0, 0
    for card in all_cards().values():
        if card.kind not in ("classifier", "regressor"):
            continue
        for variant in card.factory:
            tags = get_tags(card.load(variant)())
            if tags.estimator_type == "classifier":
                wrong += not {"binary", "multiclass"} & set(card.task)
                wrong += tags.classifier_tags.multi_class != ("multiclass" in card.task)
            elif variant == "ranking":
                wrong += tags.estimator_type == "regressor"
            else:
                wrong += tags.estimator_type != "regressor" or "regression" not in card.task
            count += 1
    return Check(wrong if count else 1, 0, "cards that say otherwise", "scikit-learn")
