"""Evidence for types of users and listings and their common space."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence


@evidence(
    "user-listing-type-embedding",
    claim="The rules reproduce the tables of buckets, bound by bound; a number between two printed buckets is in the upper one",
    against="the printed tables, written out again",
)
def tables() -> Check:
    from fivefold.models.recommend.listing_types import LISTING_RULES, USER_RULES, bucket, listing_types, user_types

    night = {
        39: 1,
        40: 2,
        55: 2,
        55.5: 3,
        56: 3,
        69: 3,
        70: 4,
        83: 4,
        84: 5,
        100: 5,
        101: 6,
        129: 6,
        130: 7,
        189: 7,
        190: 8,
    }
    guest = {20: 1, 21: 2, 27: 2, 28: 3, 34: 3, 35: 4, 42: 4, 43: 5, 52: 5, 53: 6, 75: 6, 76: 7}
    star = {0: 1, 40: 1, 41: 2, 60: 2, 61: 3, 90: 3, 91: 4}
    printed = {
        ("listing", "price_night"): night,
        ("listing", "price_guest"): guest,
        ("listing", "reviews"): {0: 1, 1: 2, 2: 3, 5: 3, 6: 4, 10: 4, 11: 5, 35: 5, 36: 6},
        ("listing", "five_star"): star,
        ("listing", "capacity"): {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 9: 6},
        ("listing", "beds"): {1: 1, 3: 1, 4: 2},
        ("listing", "bedrooms"): {0: 1, 3: 1, 4: 2},
        ("listing", "bathrooms"): {0: 1, 2: 1, 3: 2},
        ("listing", "new_guest"): {59: 1, 60: 2, 61: 2, 90: 2, 91: 3},
        ("user", "bookings"): {0: 1, 1: 2, 2: 3, 7: 3, 8: 4},
        ("user", "price_night"): night,
        ("user", "price_guest"): guest,
        ("user", "capacity"): {1.9: 1, 2: 2, 2.6: 2, 2.7: 3, 3: 3, 3.1: 4, 4: 4, 4.1: 5, 6: 5, 6.1: 6},
        ("user", "reviews"): {0.9: 1, 1: 2, 3.5: 2, 3.6: 3, 10: 3, 10.1: 4},
        ("user", "listing_five_star"): star,
        ("user", "guest_five_star"): star,
    }
    wrong = 0
    for (side, name), places in printed.items():
        rule = (LISTING_RULES if side == "listing" else USER_RULES)[name]
        found = bucket(pl.Series(list(map(float, places))), rule[1], rule[2]).to_list()
        wrong += sum(a != b for a, b in zip(found, places.values()))
    wrong += sum(not isinstance(r, str) for r in (*LISTING_RULES.values(), *USER_RULES.values())) - len(printed)
    listing = {
        "country": ["US"], "type": ["Entire"], "price_night": [80], "price_guest": [30], "reviews": [4], "five_star": [95],
        "capacity": [2], "beds": [1], "bedrooms": [4], "bathrooms": [3], "new_guest": [95],
    }  # fmt: skip
    user = {
        "market": ["SF"], "language": ["en"], "device": ["Mac"], "full_profile": [True], "photo": [False], "bookings": [1],
        "price_night": [60.0], "price_guest": [22.0], "capacity": [2.6], "reviews": [3.5], "listing_five_star": [95],
        "guest_five_star": [50],
    }  # fmt: skip
    wrong += int(listing_types(listing) != ["US_ltEntire_pn4_pg3_r3_5s4_c2_b1_bd2_bt2_nu3"])
    wrong += int(user_types(user) != ["SF_lgen_dtMac_fp1_pp0_nb2_ppn3_ppg2_c2_nr2_l5s4_g5s2"])
    return Check(wrong, 0, "buckets that differ", "printed tables")


def _bookings(decline: float, seed: int = 0, users: int = 400) -> pl.DataFrame:
    """Return bookings of two kinds of users: each books its own listings; type L2 declines users of type A."""
    draw = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        kind = "AB"[user % 2]
        own = ["L0", "L1", "L2"] if kind == "A" else ["L2", "L3", "L4"]
        for _ in range(4):
            chosen = str(draw.choice(own))
            refused = kind == "A" and chosen == "L2" and draw.random() < decline
            rows.append((user, kind, chosen, not refused))
    return pl.DataFrame(rows, schema=["user", "user_type", "listing_type", "accepted"], orient="row")


@evidence(
    "user-listing-type-embedding",
    claim="A user type is near the listing types it books, and refusals as negatives lower the scores of those that decline",
    against="planted tastes; the same bookings without their refusals",
)
def refusals() -> Check:
    from fivefold.models.recommend.type_embedding import UserListingTypeEmbedding

    frame = _bookings(0.9)
    how = {"vector_size": 8, "window": 1, "negative": 1, "learning_rate": 0.1, "epochs": 20, "random_state": 0}
    told = UserListingTypeEmbedding(**how).fit(frame)
    deaf = UserListingTypeEmbedding(**how).fit(frame.filter(pl.col("accepted")))

    def logits(model) -> np.ndarray:
        """Return v' of L0 … L4 times v of A, and of the user types times v of L2."""
        place = {k: i for i, k in enumerate(model.keys_.tolist())}
        outer, inner = model.context_vectors_, model.vectors_
        return np.array(
            [*(outer[place[f"listing:L{i}"]] @ inner[place["user:A"]] for i in range(5)),
             outer[place["user:A"]] @ inner[place["listing:L2"]]]
        )  # fmt: skip

    with_, without = logits(told), logits(deaf)
    wrong = int(not with_[2] <= without[2] - 0.5) + int(not with_[5] <= without[5] - 0.5)
    wrong += int(not np.abs(with_[:2] - without[:2]).max() <= np.abs(with_[2] - without[2]))
    near = UserListingTypeEmbedding(vector_size=8, window=3, learning_rate=0.05, epochs=8, random_state=0).fit(frame)
    a, b = (near.score(kind, ["L0", "L1", "L3", "L4"]) for kind in "AB")
    wrong += int(not a[:2].min() >= a[2:].max()) + int(not b[2:].min() >= b[:2].max())
    unit = near.vectors_ / np.linalg.norm(near.vectors_, axis=1, keepdims=True)
    place = {k: i for i, k in enumerate(near.keys_.tolist())}
    cosines = [unit[place[f"listing:L{i}"]] @ unit[place["user:A"]] for i in (0, 1, 3, 4)]
    wrong += int(not np.abs(a - cosines).max() <= 1e-12)
    return Check(wrong, 0, "conditions not met", "planted tastes")


@evidence(
    "user-listing-type-embedding",
    claim="Each refusal is one center on either side with the other as its negative; bookings keep their order and targets",
    against="the pairs taken apart",
)
def refusal_pairs() -> Check:
    from fivefold.data.sessions import NEGATIVE, skip_gram_pairs
    from fivefold.models.recommend.type_embedding import UserListingTypeEmbedding, with_refusals

    draw = np.random.default_rng(0)
    tokens, numbers = draw.integers(0, 6, 20), np.repeat([0, 1, 2, 3], 5)
    pairs = skip_gram_pairs(tokens, numbers, draw, counts=np.ones(10), window=2, negative=2)
    refused = np.array([[7, 8], [7, 9], [6, 8]])
    found = with_refusals(pairs, refused, draw)
    wrong, kept, extra = 0, [], []
    for n in range(len(found.centers)):
        part = slice(found.starts[n], found.starts[n + 1])
        row = (int(found.centers[n]), found.targets[part].tolist(), found.labels[part].tolist())
        (extra if row[0] > 5 else kept).append(row)
    for n, row in enumerate(kept):
        part = slice(pairs.starts[n], pairs.starts[n + 1])
        wrong += int(row != (int(pairs.centers[n]), pairs.targets[part].tolist(), pairs.labels[part].tolist()))
    both = [(a, [b], [0.0]) for a, b in refused.tolist()] + [(b, [a], [0.0]) for a, b in refused.tolist()]
    wrong += int(sorted(extra) != sorted(both)) + int(len(kept) != 20)
    counted = np.bincount(pairs.kinds, minlength=9) + len(both) * (np.arange(9) == NEGATIVE)
    wrong += int((np.bincount(found.kinds, minlength=9) != counted).any())
    wrong += int(with_refusals(pairs, refused[:0], draw) is not pairs)
    facts = {"vector_size": 32, "window": 5, "negative": 5, "learning_rate": 0.025, "epochs": 10}
    wrong += sum(UserListingTypeEmbedding().get_params()[name] != value for name, value in facts.items())
    return Check(wrong, 0, "differences", "taken apart")


@evidence(
    "user-listing-type-embedding",
    claim="Training takes the bookings of each user in their order as one sequence of user and listing types",
    against="the skip-gram pairs of the sequences written out, trained by the same steps",
)
def sequences() -> Check:
    from fivefold.base.random import Streams
    from fivefold.data.sessions import skip_gram_pairs
    from fivefold.data.word_vectors import falling_rates
    from fivefold.models.recommend._embedding import train_centers
    from fivefold.models.recommend.type_embedding import UserListingTypeEmbedding

    frame = pl.DataFrame(
        {"user": [2, 1, 2, 1], "user_type": ["B", "A", "C", "A"], "listing_type": ["y", "x", "x", "z"]}
    )
    model = UserListingTypeEmbedding(vector_size=4, epochs=2, learning_rate=0.3, random_state=3).fit(frame)
    keys = ["listing:x", "listing:y", "listing:z", "user:A", "user:B", "user:C"]
    tokens, numbers = np.array([3, 0, 3, 2, 4, 1, 5, 0]), np.repeat([0, 1], 4)
    streams = Streams.of(3)
    inner = (streams.numpy("vectors").random((6, 4)) - 0.5) / 4
    outer = np.zeros((6, 4))
    for epoch, rates in enumerate(falling_rates(0.3, 2)):
        counts = np.array([2.0, 1, 1, 2, 1, 1])
        p = skip_gram_pairs(tokens, numbers, streams.numpy("pairs", epoch), counts=counts)
        train_centers(inner, outer, p.centers, p.starts, p.targets, p.labels, *rates)
    wrong = int(model.keys_.tolist() != keys) + float(np.abs(model.vectors_ - inner).max())
    return Check(
        wrong + float(np.abs(model.context_vectors_ - outer).max()), 1e-13, "largest difference", "written out"
    )
