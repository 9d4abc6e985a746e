"""Evidence for the collaborative variational autoencoder: both turns, the loss of the content, items that nobody met."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault, largest

from ._ratings import ratings


def content(count: int, width: int = 6, seed: int = 0) -> pl.DataFrame:
    """Return random words, 0 or 1, of the items 0 ... in a mixed order."""
    draw = np.random.default_rng(seed)
    values = (draw.random((count, width)) < 0.4).astype(float)
    return pl.DataFrame({"item": np.arange(count), **{f"w{i}": values[:, i] for i in range(width)}})[
        draw.permutation(count)
    ]


HOW: dict[str, Any] = {
    "factors": 3,
    "hidden_layer_sizes": (5, 4),
    "iterations": 2,
    "pretrain_epochs": 3,
    "epochs": 0,
    "random_state": 0,
}


def _met(frame: pl.DataFrame, people: int, things: int) -> np.ndarray:
    matrix = np.zeros((people, things))
    matrix[frame["user"].to_numpy(), frame["item"].to_numpy()] = 1.0
    return matrix


def _solved(features: np.ndarray, weight: np.ndarray, met: np.ndarray, prior: np.ndarray, reg: float) -> np.ndarray:
    """Return (features^T C features + reg I)^-1 (features^T C r + reg prior) for each row of ``met``, by dense matrices."""
    eye = reg * np.eye(features.shape[1])
    rows = zip(met, weight, prior)
    return np.array(
        [np.linalg.solve(features.T * c @ features + eye, features.T * c @ r + reg * p) for r, c, p in rows]
    )


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
    users = _solved(v, weight[:, :9], matrix[:, :9], np.zeros((12, 3)), 0.4)
    items = _solved(u, weight.T[:9], matrix.T[:9], codes[:9], 2.0)
    worst = largest(np.abs(u - users).max(), np.abs(model.item_factors_[:9] - items).max())
    # Items that nobody met are their codes.
    worst = largest(worst, np.abs(model.item_factors_[9:] - codes[9:]).max(), float(np.abs(codes[9:]).min() == 0))
    # The paper's confidences, regularization and number of factors are what one gets unasked.
    plain = CollaborativeVAE(iterations=1, pretrain_epochs=0, hidden_layer_sizes=(4,), random_state=0)
    plain.fit(frame, content=content(11))
    usual = np.where(matrix > 0, 1.0, 0.01).T[:9]
    items = _solved(plain.user_factors_, usual, matrix.T[:9], plain.codes_[:9], 10.0)
    worst = largest(worst, np.abs(plain.item_factors_[:9] - items).max(), float(plain.codes_.shape != (11, 50)))
    # With epochs of the autoencoder between the turns the last turn still solves for the codes that are kept.
    late = CollaborativeVAE(**{**how, "epochs": 2, "iterations": 3}).fit(frame, content=content(11))
    items = _solved(late.user_factors_, weight.T[:9], matrix.T[:9], late.codes_[:9], 2.0)
    worst = largest(worst, np.abs(late.item_factors_[:9] - items).max(), float(np.abs(late.codes_ - codes).max() == 0))
    return Check(
        largest(worst, float(len(late.history_) != 3 + 2 * 2)), 1e-10, "largest difference", "numpy.linalg.solve"
    )


@evidence(
    "collaborative-vae",
    claim="A new user is solved for as one of the training; items that nobody met in training count with confidence a",
    against="numpy.linalg.solve",
)
def new_users() -> Check:
    from fivefold.models.recommend import CollaborativeVAE

    how = {**HOW, "a": 1.3, "b": 0.2, "lambda_u": 0.4, "lambda_v": 2.0}
    model = CollaborativeVAE(**how).fit(ratings(12, 9, 0.5), content=content(11))
    v = model.item_factors_
    weight = np.where(np.arange(11) < 9, 0.2, 0.0)
    met = np.zeros(11)
    weight[[1, 4, 10]], met[[1, 4, 10]] = 1.3, 1.0
    told = _solved(v, weight[None], met[None], np.zeros((1, 3)), 0.4) @ v.T
    # The second history has amounts of zero alone, which are no meetings: no vector.
    folded = model._folded(np.array([0, 4, 5]), np.array([1, 10, 3, 4, 4]), np.array([1.0, 1.0, 0.0, 5.0, 0.0]))
    worst = largest(np.abs(folded[0] - told[0]).max(), np.abs(folded[1]).max())
    predicted = model.predict({"user": [3, 3], "item": [10, 2]})
    worst = largest(worst, np.abs(predicted - v[[10, 2]] @ model.user_factors_[3]).max())
    return Check(worst, 1e-10, "largest difference", "numpy.linalg.solve")


@evidence(
    "collaborative-vae",
    claim="The loss of an item is cross-entropy of the content plus KL to the standard normal plus the tie to v",
    against="the densities of scipy.stats, the KL by its integral over each coordinate",
)
def item_loss() -> Check:
    import torch
    from scipy import integrate, stats

    from fivefold.models.recommend.collaborative_vae import content_loss

    draw = np.random.default_rng(0)
    x = (draw.random((3, 4)) < 0.5).astype(float)
    mean, spread, z, v = (draw.normal(size=(3, 2)) for _ in range(4))
    logits, tie = draw.normal(size=(3, 4)), np.array([0.0, 1.5, 3.0])
    reconstruction = -stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-logits))).sum(1)

    def divergence(m: float, s: float) -> float:
        q = stats.norm(m, np.exp(0.5 * s))
        reach = 12 * q.std()
        found = integrate.quad(
            lambda t: q.pdf(t) * (q.logpdf(t) - stats.norm.logpdf(t)), m - reach, m + reach, epsabs=1e-12
        )
        return float(found[0])

    kl = np.array([sum(divergence(m, s) for m, s in zip(mean[i], spread[i])) for i in range(3)])
    expected = reconstruction + kl + tie / 2 * ((v - z) ** 2).sum(1)
    found = content_loss(*(torch.from_numpy(a) for a in (x, mean, spread, z, logits, v, tie)))
    return Check(float(np.abs(found.numpy() - expected).max()), 1e-8, "difference", "scipy")


@evidence(
    "collaborative-vae",
    claim="A step samples the codes by their means and variances; v draws those of items that were met, once a turn set it",
    against="the loss of codes sampled by hand, from the weights of encoder and decoder",
)
def sampled_step() -> Check:
    import torch

    from fivefold.data.batches import Batch, Place
    from fivefold.models.recommend.collaborative_vae import ContentLearner, content_loss

    torch.manual_seed(0)
    learner = ContentLearner((6, 5, 4), 3, 2.5, torch.tensor([True, False, True, True])).double()
    x, v = torch.rand(3, 6).double(), np.random.default_rng(0).normal(size=(4, 3))
    rows = torch.tensor([3, 1, 0])
    batch = Batch({"x": x, "index": rows}, Place(5, 1, 2, 3, 0))

    def through(network: Any, a: np.ndarray) -> np.ndarray:
        layers = [p.detach().numpy() for p in network.parameters()]
        for weight, shift in zip(layers[:-2:2], layers[1:-2:2]):
            a = np.tanh(a @ weight.T + shift)
        return a @ layers[-2].T + layers[-1]

    code = through(learner.encoder, x.numpy())
    mean, spread = code[:, :3], code[:, 3:]
    z = mean + np.sqrt(np.exp(spread)) * batch.randn("code", 3).numpy()
    logits, wrong = through(learner.decoder, z), 0.0
    for tie in (np.zeros(3), np.array([2.5, 0.0, 2.5])):
        goal = v[rows.numpy()] if tie.any() else 0 * mean
        parts = (x.numpy(), mean, spread, z, logits, goal, tie)
        expected = content_loss(*(torch.from_numpy(a) for a in parts)).mean()
        step = next(learner.steps(batch))
        wrong = largest(wrong, abs(step.loss.item() - expected.item()))
        learner.draw(v)
    return Check(wrong, 1e-12, "largest difference", "numpy")


@evidence(
    "collaborative-vae",
    claim="The encoder's weights give the codes, and the autoencoder learns what the content is made of",
    against="the codes of the fit; two planted kinds of items and the entropy of their words",
)
def autoencoder() -> Check:
    from fivefold.models.recommend import CollaborativeVAE

    words = content(9)
    model = CollaborativeVAE(**{**HOW, "epochs": 1}).fit(ratings(12, 9, 0.5), content=words)
    # Single precision in training, double in `encode`.
    wrong = int(not np.abs(model.encode(words.sort("item")) - model.codes_).max() <= 1e-5)
    wrong += int(not np.abs(model.encode(words) - model.codes_[words["item"].to_numpy()]).max() <= 1e-5)
    # Two kinds of items, each with its own half of the words: the code must tell them apart.
    draw = np.random.default_rng(0)
    kind = np.arange(60) % 2
    chance = np.where((np.arange(10) < 5)[None] == (kind == 0)[:, None], 0.95, 0.05)
    values = (draw.random((60, 10)) < chance).astype(float)
    told = pl.DataFrame({"item": np.arange(60), **{f"w{i}": values[:, i] for i in range(10)}})
    how = {**HOW, "factors": 2, "hidden_layer_sizes": (8,), "pretrain_epochs": 80, "batch_size": 20, "iterations": 1}
    model = CollaborativeVAE(**how, learning_rate=0.02).fit(ratings(12, 60, 0.5), content=told)
    code = model.codes_
    apart = np.linalg.norm(code[kind == 0].mean(0) - code[kind == 1].mean(0))
    wrong += int(not apart >= 1.0)
    # An item's loss is at least its KL and begins at 10 ln 2, what a decoder knows that has learned nothing.
    losses = [record["loss"] for record in model.history_]
    wrong += int(not losses[-1] <= 0.8 * 10 * np.log(2)) + int(not losses[0] >= 0.9 * 10 * np.log(2))
    return Check(wrong, 0, "conditions not met", "the planted kinds")


@evidence(
    "collaborative-vae",
    claim="What users add reaches the content: a strong tie draws the codes to v, and so far as it is strong",
    against="the distances of codes and vectors without a tie",
)
def tied_codes() -> Check:
    from fivefold.models.recommend import CollaborativeVAE

    frame, words = ratings(40, 30, 0.4, seed=3), content(30, 20, seed=3)

    def distance(lambda_v: float) -> float:
        how = {**HOW, "pretrain_epochs": 5, "epochs": 20, "lambda_v": lambda_v, "batch_size": 10, "iterations": 4}
        model = CollaborativeVAE(**how, learning_rate=0.02).fit(frame, content=words)
        size = np.linalg.norm(model.item_factors_, axis=1) + np.linalg.norm(model.codes_, axis=1)
        return float((np.linalg.norm(model.item_factors_ - model.codes_, axis=1) / size).mean())

    weak, middle, strong = distance(0.01), distance(1.0), distance(100.0)
    wrong = int(not strong <= 0.5 * middle) + int(not middle <= 0.8 * weak)
    return Check(wrong, 0, "orders broken", "the strength of the tie")


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
    claim="Interrupted by a signal between two turns of users and items and resumed, it ends in the same vectors, to the bit",
    against="the uninterrupted run",
)
def resumed_between_turns() -> Check:
    import signal
    import tempfile
    from pathlib import Path

    from fivefold.engine.callbacks import Callback
    from fivefold.engine.runtime import TrainingInterrupted
    from fivefold.engine.session import session
    from fivefold.models.recommend import CollaborativeVAE

    class Interrupt(Callback):
        def on_batch_end(self, fit: Any, batch: Any) -> None:
            if fit.counters["batches"] == 4:  # two batches an epoch, one epoch before the first turn
                signal.raise_signal(signal.SIGINT)

    frame, words = ratings(15, 10, 0.4, seed=2), content(10)
    how = {**HOW, "pretrain_epochs": 1, "epochs": 2, "iterations": 3, "batch_size": 8}
    whole, model = (CollaborativeVAE(**how) for _ in range(2))
    whole.fit(frame, content=words)
    interrupted = False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with session(Path(folder), progress=False, callbacks=[Interrupt()]):
                model.fit(frame, content=words)
        except TrainingInterrupted:
            interrupted = True
        with session(Path(folder), progress=False, resume=True):
            model.fit(frame, content=words)
    wrong = fault(not interrupted)
    for name in ("user_factors_", "item_factors_", "codes_"):
        wrong += fault(not np.array_equal(getattr(whole, name), getattr(model, name)))
    return Check(wrong, 0, "vectors that differ", "the uninterrupted run")


@evidence(
    "collaborative-vae",
    claim="Content of words as text and content without a column are refused, each in its sentence",
    against="the sentences",
)
def refused_content() -> Check:
    from fivefold.base.errors import FivefoldError
    from fivefold.models.recommend import CollaborativeVAE

    frame, words = ratings(15, 10, 0.4, seed=2), content(10)
    wrong = 0
    for given, expected in (
        (
            words.with_columns(w1=pl.lit("text")),
            "the column 'w1', which holds String; give columns of numbers in [0, 1].",
        ),
        (words.select("item"), "no column beside item; give columns of numbers in [0, 1]."),
    ):
        said = ""
        try:
            CollaborativeVAE(**HOW).fit(frame, content=given)
        except FivefoldError as error:
            said = str(error)
        wrong += fault(said != f"The content has {expected}")
    return Check(wrong, 0, "sentences that differ", "the sentences")


@evidence(
    "collaborative-vae",
    claim="Items that nobody met are recommended by their content: recall@5 of 12 far above factorization",
    against="the same model told nothing by the content, at chance; three planted kinds, a fifth of the items held out",
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
    how = {
        "factors": 6,
        "hidden_layer_sizes": (16,),
        "lambda_v": 1.0,
        "iterations": 8,
        "pretrain_epochs": 100,
        "epochs": 5,
    }

    def recall(values: pl.DataFrame) -> float:
        model = CollaborativeVAE(**how, learning_rate=0.01, batch_size=24, random_state=0).fit(train, content=values)
        lists = model.recommend(k=5, candidates=cold).select("user", "item")
        return len(lists.join(test, on=["user", "item"])) / len(test)

    # Equal content for all: factorization, whose vectors of items that nobody met are one and the same.
    with_content, without = recall(told), recall(told.with_columns(pl.lit(1.0).alias(f"w{i}") for i in range(24)))
    chance, deviation = 5 / 12, np.sqrt(5 / 12 * 7 / 12 / len(test))
    wrong = int(
        not abs(without - chance) <= 6 * deviation
    )  # tests of one user share a list, so the law is a little wider
    # Who knew the kinds would list items of the user's kind first; about all its hits are among these.
    kinds = pl.DataFrame({"item": np.arange(60), "kind": things}).filter(pl.col("item").is_in(cold))
    own = len(test.join(kinds, on="item").filter(pl.col("kind") == pl.col("user") % 3))
    ideal = own / len(test)
    share = (with_content - without) / (ideal - without)
    return Check(
        share if not wrong else -1.0, 0.5, "of the gain of who knows the kinds", "factorization", at_least=True
    )
