"""Evidence for embeddings of listings from sessions, and for new listings."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest


def site(**options: object) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return sessions and listings of the made-up travel site."""
    from fivefold.data.listings_log import listings_log
    from fivefold.data.sessions import SessionBuilder

    log, listings = listings_log(**options)  # type: ignore[arg-type]
    return SessionBuilder(booked="booked").build(log), listings


@evidence(
    "listing-embedding",
    claim="A step is gradient descent on the loss of one center with all its targets, neighbors, noise, market and booking",
    against="torch autograd of the sum of log-sigmoids, targets distinct",
)
def center_gradient() -> Check:
    import torch

    from fivefold.models.recommend._embedding import train_centers

    draw = np.random.default_rng(0)
    inner, outer = draw.normal(size=(8, 5)), draw.normal(size=(8, 5))
    v, u = (torch.tensor(a, requires_grad=True) for a in (inner.copy(), outer.copy()))
    targets, labels = np.array([3, 1, 4, 0, 7]), np.array([1.0, 0, 1, 0, 0])
    logits = u[torch.from_numpy(targets)] @ v[2]
    sign = torch.from_numpy(2 * labels - 1)
    (-torch.nn.functional.logsigmoid(sign * logits).sum()).backward()
    expected = [p.detach().numpy() - 0.1 * p.grad.numpy() for p in (v, u)]
    train_centers(inner, outer, np.array([2]), np.array([0, 5]), targets, labels, 0.1, 0.1)
    worst = largest(np.abs(inner - expected[0]).max(), np.abs(outer - expected[1]).max())
    # The rate falls linearly over the centers: the third of four has half of the way behind it.
    one, two = (draw.normal(size=(8, 5)) for _ in range(2))
    a, b = (one.copy(), two.copy()), (one.copy(), two.copy())
    train_centers(*a, np.array([0, 1, 2, 3]), np.array([0, 0, 0, 1, 1]), np.array([5]), np.array([1.0]), 0.4, 0.2)
    train_centers(*b, np.array([2]), np.array([0, 1]), np.array([5]), np.array([1.0]), 0.3, 0.3)
    return Check(largest(worst, np.abs(a[0] - b[0]).max()), 1e-14, "largest difference", "torch autograd")


@evidence(
    "listing-embedding",
    claim="Without bookings and market negatives, sessions of two clicks are trained step by step as skip-gram",
    against="the word-vector kernel of this library, held against torch and loops by its own evidence, on the same noise",
)
def reduces_to_skip_gram() -> Check:
    from fivefold.base.random import Streams
    from fivefold.data.sessions import NEGATIVE, POSITIVE, skip_gram_pairs
    from fivefold.data.word_vectors import falling_rates
    from fivefold.data.word_vectors_kernels import step
    from fivefold.models.recommend import ListingEmbedding

    draw = np.random.default_rng(0)
    sessions = [list(map(int, draw.choice(9, 2, replace=False))) for _ in range(60)]
    how = {"vector_size": 6, "negative": 3, "epochs": 2, "learning_rate": 0.2, "random_state": 5}
    model = ListingEmbedding(**how, market_negative=0, booked_context=False).fit(sessions)
    items, numbers = np.array(sessions).ravel(), np.repeat(np.arange(60), 2)
    streams = Streams.of(5)
    inner = (streams.numpy("vectors").random((9, 6)) - 0.5) / 6
    outer = np.zeros((9, 6))
    counts = np.bincount(items).astype(float)
    for epoch, (first, last) in enumerate(falling_rates(0.2, 2)):
        pairs = skip_gram_pairs(items, numbers, streams.numpy("pairs", epoch, 0), counts=counts, negative=3)
        for n in range(len(items)):
            part = slice(pairs.starts[n], pairs.starts[n + 1])
            near = pairs.targets[part][pairs.kinds[part] == POSITIVE]
            noise = pairs.targets[part][pairs.kinds[part] == NEGATIVE]
            rate = first + (last - first) * n / len(items)
            step(inner, outer, int(items[n]), np.concatenate([near, noise]), 1 + len(noise), rate)
    worst = largest(np.abs(model.vectors_ - inner).max(), np.abs(model.context_vectors_ - outer).max())
    return Check(worst, 1e-12, "largest difference", "skip-gram")


@evidence(
    "listing-embedding",
    claim="Market negatives restore the separation within a market: without them its listings are hardly told apart",
    against="the planted markets and tastes",
)
def market_negatives() -> Check:
    from fivefold.models.recommend import ListingEmbedding

    sessions, listings = site(markets=8, listings=18, sessions=1200, wander=0.0)
    facts = {row["item"]: row for row in listings.to_dicts()}

    def cosines(count: int) -> np.ndarray:
        """Return mean cosines: of one market and taste, of one market and other tastes, across markets."""
        model = ListingEmbedding(
            vector_size=16, market_negative=count, booked_context=False, learning_rate=0.05, epochs=12, random_state=0
        ).fit(sessions, listings)
        unit = model.vectors_ / np.linalg.norm(model.vectors_, axis=1, keepdims=True)
        cosine = unit @ unit.T
        rows = [facts[key] for key in model.keys_.tolist()]
        market = np.array([r["market"] for r in rows])
        taste = np.array([f"{r['type']}{r['price']}" for r in rows])
        same, alike = market[:, None] == market, taste[:, None] == taste
        other = ~np.eye(len(rows), dtype=bool)
        return np.array([cosine[same & alike & other].mean(), cosine[same & ~alike].mean(), cosine[~same].mean()])

    plain, restored = cosines(0), cosines(15)
    # Without: a market is one heap, far from the others. With: tastes stand half as far again from each other.
    wrong = int(not plain[1] >= plain[2] + 0.4) + int(not restored[0] - restored[1] >= 1.5 * (plain[0] - plain[1]))
    return Check(wrong + int(not restored[1] <= plain[1] - 0.05), 0, "conditions not met", "planted tastes")


@evidence(
    "listing-embedding",
    claim="The booked listing is a context of all clicks of its session, near or far, and only with booked_context",
    against="sessions in which the booking lies outside every window",
)
def booked_context() -> Check:
    from fivefold.models.recommend import ListingEmbedding
    from fivefold.models.recommend.listing_embedding import booked_items

    goal = booked_items(
        np.array([4, 5, 6, 7, 8, 9]), np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 0, 1, 0], dtype=bool)
    )
    wrong = int(goal.tolist() != [5, 5, 8, 8, 8, -1])
    draw = np.random.default_rng(0)
    rows = []
    for n in range(300):
        group = n % 2
        clicks = [
            *(int(c) for c in 10 * group + draw.integers(0, 3, 2)),
            *(int(c) for c in 20 + draw.integers(0, 5, 5)),
            30 + group,
        ]
        rows += [(n, c, i == 7) for i, c in enumerate(clicks)]
    frame = pl.DataFrame(rows, schema=["session", "item", "booked"], orient="row")
    gaps = []
    for on in (True, False):
        model = ListingEmbedding(
            vector_size=8, window=1, market_negative=0, booked_context=on, learning_rate=0.05, epochs=20, random_state=0
        ).fit(frame)
        scores = model.vectors_ @ model.context_vectors_.T  # (center, context)
        key = {k: i for i, k in enumerate(model.keys_.tolist())}
        right = np.mean(
            [
                scores[key[10 * g + c], key[30 + g]] - scores[key[10 * g + c], key[31 - g]]
                for g in (0, 1)
                for c in range(3)
            ]
        )
        gaps.append(float(right))
    wrong += int(not gaps[0] >= 1.0) + int(not abs(gaps[1]) <= 0.5)
    facts = {
        "vector_size": 32,
        "window": 5,
        "negative": 5,
        "market_negative": 5,
        "booked_context": True,
        "learning_rate": 0.025,
    }
    wrong += sum(ListingEmbedding().get_params()[name] != value for name, value in {**facts, "epochs": 10}.items())
    return Check(wrong, 0, "conditions not met", "planted bookings")


@evidence(
    "listing-embedding",
    claim="Frames and lists give the same vectors; a click's next one is among its nearest far above chance",
    against="itself; chance on held-out sessions",
)
def held_out_sessions() -> Check:
    from fivefold.models.recommend import ListingEmbedding

    sessions, listings = site()
    train, test = sessions.filter(pl.col("session") < 480), sessions.filter(pl.col("session") >= 480)
    model = ListingEmbedding(vector_size=16, learning_rate=0.05, epochs=10, random_state=0).fit(train, listings)
    keys = {k: i for i, k in enumerate(model.keys_.tolist())}
    unit = model.vectors_ / np.linalg.norm(model.vectors_, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    near = np.argsort(-cosine, axis=1)[:, :10]
    pairs = (
        test.with_columns(after=pl.col("item").shift(-1).over("session"))
        .drop_nulls()
        .filter(pl.col("item") != pl.col("after"))
    )
    hits = [keys[b] in near[keys[a]] for a, b in pairs.select("item", "after").rows() if a in keys and b in keys]
    chance = 10 / (len(keys) - 1)
    wrong = int(not np.mean(hits) >= 3 * chance)
    plain = ListingEmbedding(vector_size=4, epochs=1, market_negative=0, random_state=0)
    lists = train.group_by("session", maintain_order=True).agg("item")["item"].to_list()
    one = plain.fit(train.drop("booked")).vectors_
    two = plain.fit(lists).vectors_
    wrong += int((one != two).any())
    return Check(wrong, 0, "conditions not met", "chance")


@evidence(
    "cold-start-embedding",
    claim="A new listing gets the mean of the three nearest within ten miles of equal type and price",
    against="a loop over all listings with the angle between unit vectors as distance",
)
def three_nearest() -> Check:
    from fivefold.models.recommend.cold_start import EARTH_RADIUS, ColdStartEmbedding

    _, listings = site(markets=3, listings=40)
    draw = np.random.default_rng(0)
    vectors = {int(k): draw.normal(size=4) for k in listings["item"] if k % 10}
    new = listings.filter(pl.col("item") % 10 == 0).with_columns(item=pl.col("item") + 1000)
    model = ColdStartEmbedding().fit(listings, vectors)
    found, worst = model.embed(new), 0.0

    def unit(row: dict) -> np.ndarray:
        a, b = np.radians(row["latitude"]), np.radians(row["longitude"])
        return np.array([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])

    full = 0
    for row, mine in zip(new.to_dicts(), found):
        near = []
        for other in listings.to_dicts():
            if other["item"] in vectors and (other["type"], other["price"]) == (row["type"], row["price"]):
                chord = np.linalg.norm(unit(row) - unit(other))
                far = 2 * EARTH_RADIUS * np.arcsin(chord / 2)
                near += [(far, other["item"])] if far <= 10 else []
        near = sorted(near)[:3]
        full += len(near) == 3
        expected = np.mean([vectors[k] for _, k in near], axis=0) if near else np.full(4, np.nan)
        worst = largest(
            worst, 0.0 if np.isnan(expected).all() and np.isnan(mine).all() else np.abs(mine - expected).max()
        )
    worst = largest(worst, abs(model.coverage(new) - full / len(new)), float(full in (0, len(new))))
    strict = ColdStartEmbedding(minimum=3).fit(listings, vectors).embed(new)
    worst = largest(worst, abs(np.isfinite(strict).all(axis=1).sum() - full))
    # The one listing there is has the place 0; the second of the new ones is a degree and 69 miles away.
    lone = {"item": [4], "latitude": [50.0], "longitude": [8.0], "type": ["a"], "price": [1]}
    two = pl.DataFrame({**{name: value * 2 for name, value in lone.items()}, "latitude": [50.0, 51.0]})
    model = ColdStartEmbedding(n_nearest=1).fit(pl.DataFrame(lone), {4: [2.0, 3.0]})
    worst = largest(worst, np.abs(model.embed(two)[0] - [2, 3]).max(), fault(np.isfinite(model.embed(two)[1]).any()))
    worst = largest(worst, abs(model.coverage(two) - 0.5))
    return Check(worst, 1e-9, "largest difference", "loop")


@evidence(
    "cold-start-embedding",
    claim="A degree of latitude is 69.09 miles, half the equator 12,437; the poles are at one distance whatever the longitude",
    against="the circumference of a sphere of 3,958.76 miles radius",
)
def miles_known() -> Check:
    from fivefold.models.recommend.cold_start import EARTH_RADIUS, ColdStartEmbedding, miles

    found = miles(np.array([[10.0, 20.0], [0, 0], [0, 0]]), np.array([[11.0, 20.0], [0, 180.0], [90.0, 77.0]]))
    expected = np.array([np.pi / 180, np.pi, np.pi / 2]) * EARTH_RADIUS
    worst = largest(np.abs(np.diag(found) - expected).max(), abs(EARTH_RADIUS - 3958.7613))
    known = ColdStartEmbedding().get_params()
    wrong = int(
        (known["n_nearest"], known["radius"], known["match"], known["minimum"]) != (3, 10.0, ("type", "price"), 1)
    )
    return Check(worst + wrong, 1e-8, "miles", "sphere")


@evidence(
    "cold-start-embedding",
    claim="For held-out listings the mean of three is nearer to the vector that their clicks would give than a random one",
    against="vectors trained with all listings; those of random listings as control",
)
def beats_random() -> Check:
    from fivefold.models.recommend import ColdStartEmbedding, ListingEmbedding

    sessions, listings = site(markets=4, listings=45, sessions=900)
    trained = ListingEmbedding(vector_size=16, learning_rate=0.05, epochs=10, random_state=0).fit(sessions, listings)
    draw = np.random.default_rng(0)
    held = set(draw.choice(trained.keys_, 30, replace=False).tolist())
    vectors = {k: v for k, v in zip(trained.keys_.tolist(), trained.vectors_) if k not in held}
    new = listings.filter(pl.col("item").is_in(list(held)))
    guess = ColdStartEmbedding().fit(listings, vectors).embed(new)
    covered = np.isfinite(guess).all(axis=1)
    truth = np.array([trained.vector(k) for k in new["item"].to_list()])

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())

    others = np.array(list(vectors.values()))
    chance = cosine(others[draw.integers(0, len(others), int(covered.sum()))], truth[covered])
    wrong = int(not covered.sum() >= 15) + int(not cosine(guess[covered], truth[covered]) >= chance + 0.3)
    return Check(wrong, 0, "conditions not met", "random vectors")
