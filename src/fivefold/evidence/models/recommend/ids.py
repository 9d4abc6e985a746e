"""Evidence for joint embeddings of item and attribute ids, and what they carry over to new items and other shops."""

from __future__ import annotations

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest


@evidence(
    "id-embedding-transfer",
    claim="A step is gradient descent on the loss of a center: all its pairs, the tie to its attributes and the penalty",
    against="torch autograd of the objective as printed, targets distinct in every id",
)
def joint_gradient() -> Check:
    import torch

    from fivefold.models.recommend._id_kernels import train_joint

    draw = np.random.default_rng(0)
    inner, outer = draw.normal(size=(6, 5)), draw.normal(size=(6, 5))
    traits, others, links = draw.normal(size=(9, 3)), draw.normal(size=(9, 3)), draw.normal(size=(2, 5, 3))
    rows = np.array([[0, 4], [1, 5], [2, 6], [3, 7], [0, 8], [1, 4]])
    share = draw.uniform(0.2, 1.0, 9)
    targets, labels, alpha, beta, rate = np.array([3, 1, 4, 2]), np.array([1.0, 0, 1, 0]), 0.7, 0.03, 0.1
    e, c, a, b, m = (torch.tensor(x.copy(), requires_grad=True) for x in (inner, outer, traits, others, links))
    w, index = torch.tensor(share), torch.from_numpy(rows)
    own = w[index[2], None] * a[index[2]]
    logits = c[targets] @ e[2] + ((w[index[targets], None] * b[index[targets]]) * own).sum((1, 2))
    sigmoid = torch.nn.functional.logsigmoid
    gain = sigmoid(torch.from_numpy(2 * labels - 1) * logits).sum()
    gain = gain + alpha * sigmoid((e[2] @ m * own).sum()) - beta * (m**2).sum()
    (-gain).backward()
    expected = [p.detach().numpy() - rate * p.grad.numpy() for p in (e, c, a, b, m)]
    found = [x.copy() for x in (inner, outer, traits, others)]
    mine = links.copy()
    teach = (np.array([2]), np.array([0, 4]), targets, labels)
    train_joint(*found, rows, share, mine, *teach, alpha, beta, rate, rate)
    worst = largest(*(np.abs(x - y).max() for x, y in zip([*found, mine], expected)))
    # The rate falls linearly over the centers: the third of four has half of the way behind it.
    one = [x.copy() for x in (inner, outer, traits, others, rows, share, links)]
    two = [x.copy() for x in one]
    pair = (np.array([5]), np.array([1.0]))
    train_joint(*one, np.array([0, 1, 2, 3]), np.array([0, 0, 0, 1, 1]), *pair, 0.0, 0.0, 0.4, 0.2)
    train_joint(*two, np.array([2]), np.array([0, 1]), *pair, 0.0, 0.0, 0.3, 0.3)
    return Check(largest(worst, *(np.abs(x - y).max() for x, y in zip(one, two))), 1e-13, "largest difference", "torch")


def shop() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return sessions and items of the made-up travel site with their attributes, of which `style` joins type and price."""
    from fivefold.data.listings_log import listings_log
    from fivefold.data.sessions import SessionBuilder

    log, listings = listings_log(markets=5, listings=24, sessions=900)
    style = pl.format("{}/{}/{}", "market", "type", "price")
    return SessionBuilder(booked="booked").build(log), listings.with_columns(style=style).select(
        "item", "market", "style"
    )


@evidence(
    "id-embedding-transfer",
    claim="The weight of an attribute is one over the items that share it, a new item is the sum of M e w over its attributes",
    against="a loop over the fitted vectors and a count by hand; values never met add nothing",
)
def cold_formula() -> Check:
    from fivefold.models.recommend import IDEmbedding

    items = pl.DataFrame(
        {"item": [3, 1, 2, 9], "brand": ["x", "y", "x", "z"], "shop": [7, 7, 7, 8], "price": [0.5, 1, 2, 3]}
    )
    sessions = [[1, 2, 3], [2, 3, 2, 1], [3, 1]]
    model = IDEmbedding(vector_size=6, attribute_size=4, epochs=3, learning_rate=0.3, random_state=0).fit(
        sessions, items
    )
    wrong = int(model.attributes_ != ("brand", "shop"))
    wrong += int([k.tolist() for k in model.attribute_keys_] != [["x", "y"], ["7"]])
    wrong += int([s.tolist() for s in model.shared_] != [[2.0, 1.0], [3.0]])
    new = pl.DataFrame({"shop": [7, 8, 8], "brand": ["y", "x", "w"]})
    brand, store = model.attribute_vectors_
    first = model.links_[0] @ brand[1] / 1 + model.links_[1] @ store[0] / 3
    second = model.links_[0] @ brand[0] / 2
    found = model.embed(new)
    wrong += int(not np.isnan(found[2]).all())
    users = model.user_vectors([[1, 2, 99, 3], [99], []], last=2)
    mean = (model.vector(2) + model.vector(3)) / 2
    wrong += int(not np.isnan(users[1:]).all())
    twice = IDEmbedding(attributes=("shop",), random_state=0).fit(sessions, items)
    wrong += int(twice.attributes_ != ("shop",)) + int(twice.vectors_.shape != (3, 32))
    wrong += int(twice.links_.shape != (1, 32, 16))
    worst = largest(np.abs(found[0] - first).max(), np.abs(found[1] - second).max(), np.abs(users[0] - mean).max())
    return Check(largest(worst, float(wrong)), 1e-13, "largest difference", "a loop")


@evidence(
    "id-embedding-transfer",
    claim="Without the tie, and with attributes that rest at zero, items learn as in plain skip-gram, in the same draws",
    against="the embedding of listings without bookings and markets",
)
def plain_skip_gram() -> Check:
    from fivefold.models.recommend import IDEmbedding, ListingEmbedding

    draw = np.random.default_rng(1)
    sessions = [draw.integers(0, 40, 5).tolist() for _ in range(60)]
    keys = np.unique(np.concatenate(sessions))
    # A vector of zeros whose context is zero too never moves.
    items = pl.DataFrame({"item": keys, "shop": np.ones(len(keys), dtype=int)})
    how = {"vector_size": 7, "window": 2, "negative": 3, "epochs": 3, "learning_rate": 0.2, "random_state": 4}
    joint = IDEmbedding(**how, attribute_size=1, alpha=0.0)
    joint._start = lambda streams, start=joint._start: (start(streams), joint.attribute_vectors_[0].fill(0.0))  # type: ignore[method-assign]
    joint.fit(sessions, items)
    plain = ListingEmbedding(**how, market_negative=0, booked_context=False).fit(sessions)
    worst = np.abs(joint.vectors_ - plain.vectors_).max()
    return Check(
        largest(worst, np.abs(joint.context_vectors_ - plain.context_vectors_).max()), 1e-12, "largest difference"
    )


@evidence(
    "id-embedding-transfer",
    claim="Items that no session of the training has are found by their attributes: their sessions' items are nearest to them",
    against="held-out sessions with the new items, and vectors of random known items in place of theirs",
)
def cold_items() -> Check:
    from fivefold.models.recommend import IDEmbedding

    sessions, items = shop()
    draw = np.random.default_rng(0)
    styles = items.group_by("style").agg("item").filter(pl.col("item").list.len() >= 2)["item"].to_list()
    new = {each[0] for each in styles}
    # The training lacks every click on a new item; the sessions to judge by are the later ones that touch one.
    edge = 0.7 * len(sessions.group_by("session").agg())
    train = sessions.filter((pl.col("session") < edge) & ~pl.col("item").is_in(list(new)))
    test = sessions.filter((pl.col("session") >= edge) & pl.col("item").is_in(list(new)).any().over("session"))
    model = IDEmbedding(learning_rate=0.3, epochs=40, random_state=0).fit(train, items)
    rows = items.filter(pl.col("item").is_in(list(new)))
    vectors = dict(zip(rows["item"].to_list(), model.embed(rows)))
    lost = sum(not np.isfinite(v).all() for v in vectors.values())
    unit = model.vectors_ / np.linalg.norm(model.vectors_, axis=1, keepdims=True)
    place = {key: i for i, key in enumerate(model.keys_.tolist())}
    shares = {"cold": [], "random": []}
    for _, group in test.group_by("session", maintain_order=True):
        inside = set(group["item"].to_list())
        others = [place[i] for i in inside if i in place]
        for item in inside & new:
            if item not in vectors or not others or not np.isfinite(vectors[item]).all():
                continue
            for name, vector in (("cold", vectors[item]), ("random", unit[draw.integers(len(unit))])):
                score = unit @ vector
                # The share of all items that stand below those of the session: 1/2 for a stranger.
                shares[name].append(np.mean([(score < score[o]).mean() for o in others]))
    found, chance = (float(np.mean(shares[n])) for n in ("cold", "random"))
    spread = 4.5 * float(np.std(shares["random"])) / np.sqrt(len(shares["random"]))
    wrong = int(not abs(chance - 0.5) <= spread + 0.02) + int(not lost <= 0) + int(not len(shares["cold"]) >= 50)
    # Chance and its 4.5 standard errors end below 0.6.
    wrong += int(not 0.5 + spread <= 0.6)
    return Check(found if not wrong else 0.0, 0.6, "share of items ranked below", "random vectors", at_least=True)


@evidence(
    "id-embedding-transfer",
    claim="Users new to a shop get what their group met there, each user of it counted once, ties by all groups and by item",
    against="two groups of users far apart and counts by hand",
)
def transfer() -> Check:
    from fivefold.models.recommend.id_transfer import GroupTransfer

    draw = np.random.default_rng(0)
    users = [f"u{i}" for i in range(8)]
    vectors = np.where(np.arange(8)[:, None] < 4, -5.0, 5.0) + draw.normal(0, 0.1, (8, 3))
    met = [
        ("u0", "a"),
        ("u0", "a"),
        ("u0", "b"),
        ("u1", "b"),
        ("u1", "c"),
        ("u2", "d"),
        ("u4", "d"),
        ("u5", "e"),
        ("zz", "f"),
    ]
    table = pl.DataFrame({"user": [u for u, _ in met], "item": [i for _, i in met]})
    model = GroupTransfer(n_groups=2, random_state=0).fit(users, vectors, table)
    wrong = int(model.items_.tolist() != ["a", "b", "c", "d", "e"])
    found = model.recommend(["u3", "u7"], vectors[[3, 7]], k=4)
    # Group one: b twice; of a, c and d, once each, d is met by the other group too. Group two: d before e, nothing else.
    lists = [found.filter(pl.col("user") == u)["item"].to_list() for u in ("u3", "u7")]
    wrong += int(lists != [["b", "d", "a", "c"], ["d", "e"]])
    wrong += int(found["score"].to_list() != [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]) + int(
        found["rank"].to_list() != [1, 2, 3, 4, 1, 2]
    )
    many = GroupTransfer(random_state=0).fit(users, vectors, table)
    return Check(wrong + int(len(many.centers_) != 5), 0, "differences", "counts by hand")
