"""Evidence for embeddings of listings from sessions, and for new listings."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest, smallest

T_BOUND = 12.0
"""Student's t with 5 degrees of freedom is beyond it, on either side, once in 14,000 times."""


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
    claim="Clicks are paired in pieces of about one size, which follow each other and part no session",
    against="a loop over the sessions",
)
def pieces() -> Check:
    from unittest.mock import patch

    from fivefold.models.recommend import _embedding

    draw, wrong = np.random.default_rng(0), 0
    for size in (1, 4, 9, 1000):
        lengths = draw.integers(1, 8, 30)
        numbers = np.repeat(np.arange(30) + 3, lengths)
        starts = [0, *np.cumsum(lengths)[:-1].tolist()]
        cuts: list[int] = []
        for goal in range(
            0, len(numbers), size
        ):  # the first session that begins at or behind each multiple of the size
            cuts += [s for s in starts if s >= goal][:1]
        ends = [*sorted(set(cuts))[1:], len(numbers)]
        with patch.object(_embedding, "_CLICKS", size):
            wrong += int(_embedding.pieces_of(numbers) != list(zip(sorted(set(cuts)), ends)))
    return Check(wrong, 0, "cuts that differ", "a loop")


@evidence(
    "listing-embedding",
    claim="Each market is a heap of its own; with market negatives the tastes in it stand farther apart than by sessions alone",
    against="planted markets and tastes; the same with markets, and tastes within markets, dealt out anew 100 times",
)
def market_negatives() -> Check:
    from fivefold.models.recommend import ListingEmbedding

    sessions, listings = site(markets=8, listings=18, sessions=1200, wander=0.0)
    facts = {row["item"]: row for row in listings.to_dicts()}
    how = {"vector_size": 16, "learning_rate": 0.05, "epochs": 12, "random_state": 0, "booked_context": False}
    draw = np.random.default_rng(0)

    def gaps(count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much cosines within markets, and of equal tastes in them, are larger; and that of 100 dealt anew."""
        model = ListingEmbedding(**how, market_negative=count).fit(sessions, listings)  # type: ignore[arg-type]
        unit = model.vectors_ / np.linalg.norm(model.vectors_, axis=1, keepdims=True)
        cosine, others = unit @ unit.T, ~np.eye(len(unit), dtype=bool)
        rows = [facts[key] for key in model.keys_.tolist()]
        market = np.unique([r["market"] for r in rows], return_inverse=True)[1]
        taste = np.array([f"{r['type']}{r['price']}" for r in rows])

        def told(market: np.ndarray, taste: np.ndarray) -> tuple[float, float]:
            same, alike = market[:, None] == market, taste[:, None] == taste
            inside = cosine[same & ~alike].mean()
            return inside - cosine[~same].mean(), cosine[same & alike & others].mean() - inside

        chance = []
        for _ in range(100):
            within = np.lexsort((draw.random(len(rows)), market))
            dealt = taste.copy()
            dealt[np.argsort(market, kind="stable")] = taste[within]
            chance.append((told(draw.permutation(market), taste)[0], told(market, dealt)[1]))
        return np.array(told(market, taste)), np.std(chance, axis=0)

    (heap, told), (heap_chance, chance) = gaps(0)
    (_, apart), (_, apart_chance) = gaps(15)
    deviations = (heap / heap_chance, (apart - told) / np.hypot(chance, apart_chance))
    return Check(smallest(deviations), 4.5, "standard deviations of what is dealt anew", "dealt anew", at_least=True)


@evidence(
    "listing-embedding",
    claim="The booked listing is a context of all clicks of its session, near or far, and only with booked_context",
    against="sessions in which the booking lies outside every window: six seeds with and six without",
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
        clicks = [10 * group + draw.integers(0, 3, 2), 20 + draw.integers(0, 5, 5), [30 + group]]
        rows += [(n, int(c), i == 7) for i, c in enumerate(np.concatenate(clicks))]
    frame = pl.DataFrame(rows, schema=["session", "item", "booked"], orient="row")
    how = {"vector_size": 8, "window": 1, "market_negative": 0, "learning_rate": 0.05, "epochs": 20}
    gaps = np.empty((2, 6))
    for on, seed in np.ndindex(gaps.shape):
        model = ListingEmbedding(**how, booked_context=bool(on), random_state=seed).fit(frame)  # type: ignore[arg-type]
        # Keys are 0-2 and 10-12, the clicks of either group; 20-24; 30 and 31, what each books.
        scores = model.vectors_[:6] @ model.context_vectors_[-2:].T  # (clicks, booked)
        gaps[on, seed] = np.mean((scores[:, 0] - scores[:, 1]) * np.repeat([1, -1], 3))
    # Without, groups are alike by symmetry, so that the mean is 0 but for chance.
    t = gaps.mean(axis=1) / (gaps.std(axis=1, ddof=1) / 6**0.5)
    wrong += int(not abs(t[0]) <= T_BOUND) + int(not t[1] >= T_BOUND)
    facts = {"market_negative": 5, "booked_context": True}
    wrong += sum(ListingEmbedding().get_params()[name] != value for name, value in facts.items())
    return Check(wrong, 0, "conditions not met", "planted bookings")


@evidence(
    "listing-embedding",
    claim="Frames and lists give the same vectors; a click's next one is among its ten nearest far oftener than by chance",
    against="itself; held-out sessions with the listings' vectors dealt out anew 100 times",
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
    near = np.zeros(cosine.shape, dtype=bool)
    np.put_along_axis(near, np.argsort(-cosine, axis=1)[:, :10], True, axis=1)
    pairs = (
        test.with_columns(after=pl.col("item").shift(-1).over("session"))
        .drop_nulls()
        .filter(pl.col("item") != pl.col("after"))
    )
    both = np.array([(keys[a], keys[b]) for a, b in pairs.select("item", "after").rows() if a in keys and b in keys])
    draw = np.random.default_rng(0)
    chance = [near[tuple(draw.permutation(len(keys))[both].T)].mean() for _ in range(100)]
    wrong = int(not near[tuple(both.T)].mean() >= np.mean(chance) + 4.5 * np.std(chance))
    wrong += int(not abs(np.mean(chance) - 10 / (len(keys) - 1)) <= 4.5 * np.std(chance) / 10)
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
    claim="A known listing at the very radius is a match, one just beyond it is none",
    against="the distance itself as radius",
)
def at_the_radius() -> Check:
    from fivefold.models.recommend.cold_start import ColdStartEmbedding, miles

    places = {"item": ["known", "new"], "latitude": [10.0, 10.1], "longitude": [20.0, 20.2]}
    listings = pl.DataFrame(places).with_columns(type=pl.lit("flat"), price=pl.lit("low"))
    distance = float(miles(np.array([[10.1, 20.2]]), np.array([[10.0, 20.0]]))[0, 0])
    found = []
    for radius in (distance, np.nextafter(distance, 0)):
        model = ColdStartEmbedding(radius=float(radius), n_nearest=1).fit(listings[:1], {"known": [1.0, 2.0]})
        found.append(model.embed(listings[1:])[0])
    wrong = fault(found[0].tolist() != [1.0, 2.0]) + fault(not np.isnan(found[1]).all())
    return Check(wrong, 0, "faults", "the distance")


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
