"""Evidence for sessions of clicks and the pairs that skip-gram learns from."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest


def _log() -> pl.DataFrame:
    """Return two users' clicks, shuffled: gaps of exactly and of just over 30 minutes, one click alone."""
    return pl.DataFrame(
        {
            "user": ["b", "a", "a", "a", "b", "a", "a", "a"],
            "item": ["z", "q", "p", "r", "y", "s", "t", "u"],
            "time": [100.0, 1800.0, 0.0, 3600.5, 60.0, 9000.0, 20000.0, 20000.0],
            "paid": [0, 0, 0, 1, 0, 0, 0, 0],
        }
    )


@evidence(
    "session-builder",
    claim="More than 30 minutes after the click before a session begins; 30 exactly do not; single clicks are left out",
    against="a log split by hand",
)
def split_by_hand() -> Check:
    from fivefold.data.sessions import SessionBuilder

    found = SessionBuilder().build(_log())
    wrong = int(found["item"].to_list() != ["p", "q", "t", "u", "y", "z"]) + int(
        found["session"].to_list() != [0, 0, 1, 1, 2, 2]
    )
    wrong += int(found["user"].to_list() != list("aaaabb")) + int(found["booked"].any())
    wrong += int(set(found["label"]) != {"exploratory"})
    wide = SessionBuilder(gap=1800.5, booked="paid").build(_log())
    wrong += int(wide["item"].to_list() != ["p", "q", "r", "t", "u", "y", "z"])
    wrong += int(wide["label"].to_list() != ["booked"] * 3 + ["exploratory"] * 4)
    wrong += int(wide["booked"].to_list() != [False, False, True] + [False] * 4)
    every = SessionBuilder(min_length=1).build(_log())
    wrong += int(every["session"].to_list() != [0, 0, 1, 2, 3, 3, 4, 4])
    start = datetime.datetime(2020, 1, 1)
    dated = _log().with_columns(time=pl.Series([start + datetime.timedelta(seconds=s) for s in _log()["time"]]))
    wrong += int(SessionBuilder().build(dated)["item"].to_list() != found["item"].to_list())
    facts = vars(SessionBuilder())
    wrong += int((facts["gap"], facts["min_length"], facts["booked"]) != (1800.0, 2, None))
    return Check(wrong, 0, "differences", "by hand")


@evidence(
    "session-builder",
    claim="Every click meets its neighbors within the window, each with noise, listings of its market, and the booked listing",
    against="an enumeration of the windows click by click",
)
def pairs_enumerated() -> Check:
    from fivefold.data.sessions import BOOKED, MARKET, NEGATIVE, POSITIVE, skip_gram_pairs

    draw = np.random.default_rng(0)
    sessions = np.repeat(np.arange(7), [2, 1, 5, 3, 9, 4, 2])
    items = draw.integers(0, 12, len(sessions))
    markets = np.arange(12) % 3
    counts = np.bincount(items, minlength=12).astype(float)
    goal = np.where(sessions % 2 == 0, items[np.searchsorted(sessions, sessions, side="right") - 1], -1)
    wrong = 0
    for window in (1, 2, 4):
        pairs = skip_gram_pairs(
            items, sessions, np.random.default_rng(1), counts=counts, window=window, negative=3, markets=markets,
            market_negative=4, booked=goal,
        )  # fmt: skip
        wrong += int((pairs.centers != items).any())
        for n in range(len(items)):
            part = slice(pairs.starts[n], pairs.starts[n + 1])
            targets, kinds, labels = pairs.targets[part], pairs.kinds[part], pairs.labels[part]
            mine = set(items[sessions == sessions[n]])
            near = [j for j in range(len(items)) if 0 < abs(j - n) <= window and sessions[j] == sessions[n]]
            wrong += int(targets[kinds == POSITIVE].tolist() != items[near].tolist())
            wrong += int(((labels == 1) != np.isin(kinds, (POSITIVE, BOOKED))).any())
            wrong += int(
                targets[kinds == BOOKED].tolist() != ([goal[n]] if goal[n] >= 0 and goal[n] != items[n] else [])
            )
            same = targets[kinds == MARKET]
            wrong += int((markets[same] != markets[items[n]]).any()) + int(bool(mine & set(same.tolist())))
            # Noise stands behind its neighbor and never is that neighbor.
            last, follow = -1, 0
            for target, kind in zip(targets, kinds):
                last, follow = (target, 0) if kind == POSITIVE else (last, follow + (kind == NEGATIVE))
                wrong += int(kind == NEGATIVE and target == last) + int(not follow <= 3)
            order = [k for k in kinds if k in (MARKET, BOOKED)]
            wrong += int(order != sorted(order)) + int(bool(order) and kinds[-len(order) :].tolist() != order)
    plain = skip_gram_pairs(items, sessions, np.random.default_rng(1), counts=counts, window=2, negative=0)
    wrong += int((plain.kinds != POSITIVE).any())
    wrong += len(skip_gram_pairs(items[:1], sessions[:1], draw, counts=counts).targets)
    return Check(wrong, 0, "differences", "enumeration")


@evidence(
    "session-builder",
    claim="Noise comes with the count to the power of 3/4, listings of a market evenly",
    against="shares of 60,000 draws within six deviations",
)
def pairs_noise() -> Check:
    from fivefold.data.sessions import MARKET, NEGATIVE, skip_gram_pairs

    counts = np.array([81.0, 16, 1, 256])
    markets = np.array([0, 1, 0, 0])
    items, sessions = np.tile([1, 1], 10_000), np.repeat(np.arange(10_000), 2)
    pairs = skip_gram_pairs(
        items,
        sessions,
        np.random.default_rng(0),
        counts=counts,
        window=1,
        negative=3,
        markets=markets,
        market_negative=1,
    )
    noise = pairs.targets[pairs.kinds == NEGATIVE]
    chance = np.array([27, 0, 1, 64]) / 92  # without the neighbor itself
    share = np.bincount(noise, minlength=4) / len(noise)
    worst = (np.abs(share - chance) / np.sqrt(np.maximum(chance * (1 - chance), 1e-12) / len(noise))).max()
    wrong = int(not worst < 6) + int(
        (pairs.kinds == MARKET).any()
    )  # listing 1 is alone in its market, and in the session
    wrong += int(not abs(len(noise) / 60_000 - 0.92) <= 6 * np.sqrt(0.92 * 0.08 / 60_000))
    wide = skip_gram_pairs(
        np.tile([0, 1], 5_000), np.repeat(np.arange(5_000), 2), np.random.default_rng(0), counts=counts, window=1, negative=0,
        markets=markets, market_negative=2,
    )  # fmt: skip
    drawn = wide.targets[wide.kinds == MARKET]
    share = np.bincount(drawn, minlength=4) / len(drawn)
    wrong += int(not share[0] + share[1] <= 0) + int(not abs(share[2] - 0.5) <= 6 * np.sqrt(0.25 / len(drawn)))
    return Check(wrong, 0, "conditions not met", "the law")


@evidence(
    "session-builder",
    claim="A file is read as the frame is, and what is no log is refused",
    against="the same log written to CSV",
)
def read_from_file() -> Check:
    import tempfile
    from pathlib import Path

    from fivefold.base.errors import FivefoldError
    from fivefold.data.sessions import SessionBuilder

    with tempfile.TemporaryDirectory() as folder:
        _log().write_csv(Path(folder) / "log.csv")
        found = SessionBuilder().read(Path(folder) / "log.csv")
    expected = SessionBuilder().build(_log())
    wrong = sum(found[name].tolist() != expected[name].to_list() for name in expected.columns)
    wrong += int(found["item"].dtype.kind != "U")
    for change, words in (
        ({"time": pl.lit("noon")}, "holds String; give seconds, dates or times"),
        ({"user": pl.lit(None, pl.String)}, "has 8 missing values"),
    ):
        try:
            SessionBuilder().build(_log().with_columns(**change))
        except FivefoldError as error:
            wrong += int(words not in str(error))
        else:
            wrong += 1
    return Check(largest(wrong), 0, "differences", "CSV")
