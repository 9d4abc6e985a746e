"""Evidence for the collaborative variational autoencoder: both turns, the loss of the content, items that nobody met."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, largest

from ._ratings import ratings


def content(count: int, width: int = 6, seed: int = 0) -> pl.DataFrame:
    """Return random words, 0 or 1, of the items 0 ... in a mixed order."""
    draw = np.random.default_rng(seed)
    values = (draw.random((count, width)) < 0.4).astype(float)
    return pl.DataFrame({"item": np.arange(count), **{f"w{i}": values[:, i] for i in range(width)}})[
        draw.permutation(count)
    ]


HOW: dict[str, Any] = {"factors": 3, "hidden": 5, "iterations": 2, "pretrain_epochs": 3, "epochs": 0, "random_state": 0}


def _met(frame: pl.DataFrame, people: int, things: int) -> np.ndarray:
    matrix = np.zeros((people, things))
    matrix[frame["user"].to_numpy(), frame["item"].to_numpy()] = 1.0
    return matrix


@evidence(
    "collaborative-vae",
    claim="Users and items solve ridge problems with confidence a for pairs that met, b for others, and codes as prior",
    against="numpy.linalg.solve with the full diagonal matrices; items that nobody met are left out of the users' problems",
)
def alternating_steps() -> Check:
    from fivefold.models.recommend import CollaborativeVAE

    frame = ratings(12, 9, 0.5)
    how = {**HOW, "a": 1.3, "b": 0.2, "lambda_u": 0.4, "lambda_v": 2.0}
    model = CollaborativeVAE(**how).fit(frame, content=content(11))
    before = CollaborativeVAE(**{**how, "iterations": 1}).fit(frame, content=content(11))
    matrix = _met(frame, 12, 11)
    weight = np.where(matrix > 0, 1.3, 0.2)
    v, u, codes = before.item_factors_[:9], model.user_factors_, model.codes_
    users = [
        np.linalg.solve(v.T * weight[i, :9] @ v + 0.4 * np.eye(3), v.T * weight[i, :9] @ matrix[i, :9])
        for i in range(12)
    ]
    items = [
        np.linalg.solve(u.T * weight[:, j] @ u + 2.0 * np.eye(3), u.T * weight[:, j] @ matrix[:, j] + 2.0 * codes[j])
        for j in range(9)
    ]
    worst = largest(np.abs(u - users).max(), np.abs(model.item_factors_[:9] - items).max())
    # Items that nobody met are their codes; a history folds in as a user, what nobody met in it passed over.
    worst = largest(worst, np.abs(model.item_factors_[9:] - codes[9:]).max(), float(np.abs(codes[9:]).min() == 0))
    w, r = np.full(9, 0.2), np.zeros(9)
    w[[1, 4]], r[[1, 4]] = 1.3, 1.0
    v = model.item_factors_[:9]
    told = np.linalg.solve(v.T * w @ v + 0.4 * np.eye(3), v.T * w @ r) @ model.item_factors_.T
    folded = model._folded(np.array([0, 3, 3]), np.array([1, 10, 4]), np.array([1.0, 1.0, 5.0]))
    worst = largest(worst, np.abs(folded[0] - told).max(), np.abs(folded[1]).max())
    predicted = model.predict({"user": [3], "item": [10]})
    return Check(
        largest(worst, abs(predicted[0] - u[3] @ codes[10])), 1e-10, "largest difference", "numpy.linalg.solve"
    )


@evidence(
    "collaborative-vae",
    claim="The loss of the content is cross-entropy plus KL to the standard normal plus the tie, a mean over items",
    against="the densities of scipy.stats, the KL by its integral over each coordinate",
)
def content_loss() -> Check:
    import torch
    from scipy import integrate, stats

    from fivefold.models.recommend.collaborative_vae import autoencoder_loss

    draw = np.random.default_rng(0)
    x = (draw.random((3, 4)) < 0.5).astype(float)
    mean, spread, z, v = (draw.normal(size=(3, 2)) for _ in range(4))
    logits, tie = draw.normal(size=(3, 4)), np.array([0.0, 1.5, 3.0])
    again = -stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-logits))).sum(1)

    def divergence(m: float, s: float) -> float:
        q = stats.norm(m, np.exp(0.5 * s))
        gap = lambda t: q.pdf(t) * (q.logpdf(t) - stats.norm.logpdf(t))  # noqa: E731
        return float(integrate.quad(gap, m - 12 * q.std(), m + 12 * q.std(), epsabs=1e-12)[0])

    kl = np.array([sum(divergence(m, s) for m, s in zip(mean[i], spread[i])) for i in range(3)])
    expected = (again + kl + tie / 2 * ((v - z) ** 2).sum(1)).mean()
    found = autoencoder_loss(*(torch.from_numpy(a) for a in (x, mean, spread, z, logits, v, tie)))
    return Check(abs(float(found) - expected), 1e-8, "difference", "scipy")


@evidence(
    "collaborative-vae",
    claim="The encoder's weights give the codes; the autoencoder learns content, and a strong tie draws the codes to v",
    against="the codes of the fit; the entropy of the words; the distance without a tie",
)
def autoencoder() -> Check:
    import torch

    from fivefold.base.random import Streams
    from fivefold.models.recommend import CollaborativeVAE
    from fivefold.models.recommend.collaborative_vae import Autoencoder

    words = content(9)
    model = CollaborativeVAE(**{**HOW, "epochs": 1}).fit(ratings(12, 9, 0.5), content=words)
    wrong = int(not np.abs(model.encode(words.sort("item")) - model.codes_).max() <= 1e-12)
    mixed = model.encode(words)
    wrong += int(not np.abs(mixed - model.codes_[words["item"].to_numpy()]).max() <= 1e-12)
    # Two kinds of items, each with its own half of the words: the code must tell them apart.
    draw = np.random.default_rng(0)
    kind = np.arange(60) % 2
    values = (draw.random((60, 10)) < np.where((np.arange(10) < 5)[None] == (kind == 0)[:, None], 0.95, 0.05)).astype(
        float
    )
    network = Autoencoder(values, 8, 2, 0.02, Streams(0))
    network.train(80, 20)
    code = network.codes()
    apart = np.linalg.norm(code[kind == 0].mean(0) - code[kind == 1].mean(0))
    wrong += int(not apart >= 1.0)
    with torch.no_grad():
        chance = torch.sigmoid(network.layers[3](network.layers[2](torch.from_numpy(code)).tanh())).numpy()
    loss = -(values * np.log(chance) + (1 - values) * np.log(1 - chance)).mean()
    wrong += int(not loss <= 0.45)  # ln 2 = 0.69 without a code
    goal = draw.normal(size=(60, 2))
    before = np.abs(network.codes() - goal)[:30].mean(), np.abs(network.codes() - goal)[30:].mean()
    network.train(150, 20, goal, np.where(np.arange(60) < 30, 100.0, 0.0))
    after = np.abs(network.codes() - goal)[:30].mean(), np.abs(network.codes() - goal)[30:].mean()
    wrong += int(not after[0] <= 0.6 * before[0]) + int(not after[1] >= 0.8 * before[1])
    return Check(wrong, 0, "conditions not met", "the planted kinds")


@evidence(
    "collaborative-vae",
    claim="Without content it is weighted factorization, whose objective falls at every turn",
    against="the objective over all pairs, after one, two, three and four turns",
)
def without_content() -> Check:
    from fivefold.models.recommend import CollaborativeVAE

    frame = ratings(15, 10, 0.4, seed=2)
    matrix = _met(frame, 15, 10)
    weight, values = np.where(matrix > 0, 1.0, 0.01), []
    for turns in range(1, 5):
        model = CollaborativeVAE(factors=3, iterations=turns, random_state=1, lambda_v=0.5).fit(frame)
        error = weight * (matrix - model.user_factors_ @ model.item_factors_.T) ** 2
        values.append(
            error.sum() / 2 + 0.1 / 2 * (model.user_factors_**2).sum() + 0.5 / 2 * (model.item_factors_**2).sum()
        )
    wrong = int((~(np.diff(values) < 0)).sum()) + int(np.abs(model.codes_).max() != 0)
    # An amount of zero is no meeting.
    more = pl.concat([frame, pl.DataFrame({"user": [0], "item": [0], "rating": [0.0]})]) if not matrix[0, 0] else frame
    same = CollaborativeVAE(factors=3, iterations=4, random_state=1, lambda_v=0.5, rating="rating").fit(more)
    wrong += int(not np.abs(same.user_factors_ - model.user_factors_).max() <= 1e-12)
    return Check(wrong, 0, "violations", "the objective")


@evidence(
    "collaborative-vae",
    claim="Items that nobody met are recommended by their content: recall@5 far above factorization without content",
    against="users and items of three planted kinds, a fifth of the items held out whole; the same model without content",
)
def cold_items() -> Check:
    from fivefold.models.recommend import CollaborativeVAE

    draw = np.random.default_rng(0)
    people, things = np.arange(60) % 3, draw.permutation(60) % 3
    users, items = np.nonzero(draw.random((60, 60)) < np.where(people[:, None] == things[None], 0.5, 0.05))
    words = (draw.random((60, 24)) < np.where(np.arange(24)[None] % 3 == things[:, None], 0.6, 0.08)).astype(float)
    frame = pl.DataFrame({"user": users, "item": items})
    cold = list(range(48, 60))
    told = pl.DataFrame({"item": np.arange(60), **{f"w{i}": words[:, i] for i in range(24)}})
    train, test = frame.filter(~pl.col("item").is_in(cold)), frame.filter(pl.col("item").is_in(cold))
    how = {"factors": 6, "hidden": 16, "lambda_v": 1.0, "iterations": 8, "pretrain_epochs": 100, "epochs": 5}

    def recall(values: pl.DataFrame) -> float:
        model = CollaborativeVAE(**how, learning_rate=0.005, batch_size=16, random_state=0).fit(train, content=values)
        lists = model.recommend(k=5, candidates=cold).select("user", "item")
        return len(lists.join(test, on=["user", "item"])) / len(test)

    # Words of other items in place of its own: what the codes of strangers are worth.
    mixed = told.with_columns(item=pl.Series(draw.permutation(60)))
    with_content, without = recall(told), recall(mixed)
    chance = 5 / 12
    wrong = int(not abs(without - chance) <= 0.25)
    return Check(with_content - chance if not wrong else -1.0, 0.2, "recall above chance", "no content", at_least=True)
