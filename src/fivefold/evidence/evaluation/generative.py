"""Metrics of generated samples: closed forms, double sums, POT, tables by hand, planted copies and known supports."""

from __future__ import annotations

import itertools
import math

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 4)), rng.normal(size=(45, 4)) @ np.diag([1, 2, 0.5, 1]) + [1, 0, 0, -1]


@evidence("fid", claim="The distance is |Δμ|² + Tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½) of the samples", against="scipy.linalg.sqrtm")
def fid_formula() -> Check:
    from scipy.linalg import sqrtm

    from fivefold.evaluation.generative import frechet_distance

    x, y = _samples()
    s, t = np.cov(x.T), np.cov(y.T)
    exact = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))
    wrong = abs(frechet_distance(x, y) - exact) + abs(frechet_distance(x, x)) + abs(frechet_distance(y, x) - exact)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    wrong += abs(frechet_distance(x @ rotation + 5, y @ rotation + 5) - exact)
    return Check(float(wrong), 1e-9, "sum of differences", "scipy")


@evidence("fid", claim="Commuting covariances give Σ (√a - √b)²; singular ones too", against="the closed form")
def fid_closed_form() -> Check:
    from fivefold.evaluation.generative import frechet_distance

    # Points at ± along the axes: mean 0 and a diagonal covariance 2 a²/(n - 1).
    def axes(scale: list[float]) -> np.ndarray:
        return np.concatenate([np.diag(scale), -np.diag(scale)])

    a, b = [1.0, 2.0, 0.0], [3.0, 0.5, 0.0]
    exact = sum((p - q) ** 2 for p, q in zip(a, b)) * 2 / 5 + 9 + 16
    wrong = abs(frechet_distance(axes(a), axes(b) + [3, 0, 4]) - exact)
    wrong += abs(frechet_distance([0.0, 2.0], [5.0, 5.0]) - (16 + 2))  # one column: (μ₁ - μ₂)² + (σ₁ - σ₂)²
    return Check(float(wrong), 1e-12, "sum of differences", "closed form")


@evidence("fid", claim="Seven shards in any order give the whole", against="the whole set")
def fid_shards() -> Check:
    from fivefold.evaluation.generative import FrechetDistance, frechet_distance

    x, y = _samples()
    cuts = list(zip(np.split(x + 50, [1, 3, 20, 30, 44, 59]), np.split(y + 50, [2, 4, 11, 30, 40, 44])))
    worst = 0.0
    for order in ((0, 1, 2, 3, 4, 5, 6), (6, 2, 4, 0, 5, 1, 3)):
        total = FrechetDistance()
        for k in order:
            total.merge(FrechetDistance().update(cuts[k][0], None).update(None, cuts[k][1]))
        worst = largest(worst, abs(total.compute() - frechet_distance(x, y)))
    return Check(worst, 1e-9, "max difference", "the whole set")


def _classes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.dirichlet([3, 2, 1, 1], 50), rng.dirichlet([0.3, 0.1, 0.5, 0.2], 80)


@evidence(
    "inception-score", claim="exp of the mean divergence from the mean, in [1, K]", against="its definition, by hand"
)
def inception_by_hand() -> Check:
    from fivefold.evaluation.generative import InceptionScore, inception_score

    _, p = _classes()
    mean = p.mean(axis=0)
    direct = math.exp(np.mean([sum(v * math.log(v / m) for v, m in zip(row, mean) if v > 0) for row in p]))
    wrong = abs(inception_score(None, p) - direct)
    wrong += abs(inception_score(None, np.tile([0.2, 0.5, 0.3], (7, 1))) - 1.0)
    wrong += abs(inception_score(None, np.tile(np.eye(5), (3, 1))) - 5.0)
    wrong += abs(
        inception_score(None, np.eye(4)[[0, 0, 0, 1]]) - math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    )
    parts = [InceptionScore().update(None, q) for q in np.split(p, [1, 5, 30, 31, 50, 79])]
    total = InceptionScore()
    for k in (5, 0, 3, 6, 1, 4, 2):
        total.merge(parts[k])
    return Check(float(wrong + abs(total.compute() - direct)), 1e-12, "sum of differences", "by hand")


@evidence(
    "inception-score",
    claim="Its logarithm is the information between sample and class",
    against="scikit-learn's on counts",
)
def inception_information() -> Check:
    from sklearn.metrics import mutual_info_score

    from fivefold.evaluation.generative import inception_score

    counts = np.random.default_rng(0).multinomial(20, [0.1, 0.2, 0.3, 0.4], size=30)
    table = mutual_info_score(None, None, contingency=counts)  # every sample is equally likely
    return Check(abs(math.log(inception_score(None, counts / 20)) - table), 1e-12, "difference", "scikit-learn")


@evidence(
    "mode-score", claim="IS · exp(-KL(generated classes, real ones)); equal to IS when they match", against="by hand"
)
def mode_by_hand() -> Check:
    from fivefold.evaluation.generative import ModeScore, inception_score, mode_score

    real, p = _classes()
    a, b = p.mean(axis=0), real.mean(axis=0)
    exact = inception_score(None, p) * math.exp(-np.sum(a * np.log(a / b)))
    wrong = abs(mode_score(real, p) - exact) + abs(mode_score(p, p) - inception_score(None, p))
    # Two clear classes 1:1 where the real ones are 3:1: 2 · exp(-(½ ln ⅔ + ½ ln 2)) = 2 √(3/4) = √3.
    wrong += abs(mode_score(np.eye(2)[[0, 0, 0, 1]], np.eye(2)) - math.sqrt(3))
    wrong += abs(mode_score(np.eye(2)[[0, 0]], np.eye(2)))  # a class that no real row has
    wrong += abs(mode_score(np.eye(2), np.eye(2)[[0, 0]]) - 0.5)  # one of two classes is never made
    total = ModeScore().update(real[:7], None).merge(ModeScore().update(None, p[:9])).update(real[7:], p[9:])
    return Check(float(wrong + abs(total.compute() - exact)), 1e-12, "sum of differences", "by hand")


@evidence(
    "mode-score", claim="Printed with the real classes in both terms it is the Inception Score", against="its formula"
)
def mode_misprint() -> Check:
    from fivefold.evaluation.generative import inception_score, mode_score

    real, p = _classes()
    a, b = p.mean(axis=0), real.mean(axis=0)
    printed = math.exp(np.mean(np.sum(p * np.log(np.maximum(p, 1e-300) / b), axis=1)) - np.sum(a * np.log(a / b)))
    wrong = abs(printed - inception_score(None, p)) + float(not mode_score(real, p) < 0.9 * printed)
    return Check(float(wrong), 1e-12, "sum of differences", "01#mode-score")


@evidence("kernel-mmd", claim="Both estimators of each kernel are the double sums", against="sums, pair by pair")
def mmd_double_sum() -> Check:
    from fivefold.evaluation.generative import KernelMMD, kernel_mmd

    x, y = _samples()
    x, y = x[:15], y[:12]
    joint = np.concatenate([x, y])
    sigma = np.median([np.linalg.norm(a - b) for a, b in itertools.combinations(joint, 2)])
    kernels = {
        ("rbf", 0.7): lambda a, b: math.exp(-np.sum((a - b) ** 2) / (2 * 0.49)),
        ("rbf", None): lambda a, b: math.exp(-np.sum((a - b) ** 2) / (2 * sigma**2)),
        ("polynomial", None): lambda a, b: (a @ b / 4 + 1) ** 3,
        ("linear", None): lambda a, b: a @ b,
    }
    wrong = 0.0
    for (name, width), k in kernels.items():
        cross = np.mean([k(a, b) for a in x for b in y])
        apart = sum(np.mean([k(a, b) for a, b in itertools.permutations(s, 2)]) for s in (x, y))
        every = sum(np.mean([k(a, b) for a in s for b in s]) for s in (x, y))
        found = [kernel_mmd(x, y, kernel=name, bandwidth=width, unbiased=flag) for flag in (True, False)]
        wrong += abs(found[0] - (apart - 2 * cross)) + abs(found[1] - (every - 2 * cross))
    wrong += abs(kernel_mmd(x, y, kernel="linear", unbiased=False) - np.sum((x.mean(0) - y.mean(0)) ** 2))
    wrong += abs(kernel_mmd(x, x, unbiased=False)) + abs(KernelMMD().update(x, y).compute() - kernel_mmd(x, y))
    return Check(float(wrong), 1e-10, "sum of differences", "brute force")


@evidence(
    "kernel-mmd",
    claim="Unbiased: the mean over all splits of one sample is 0; the biased one is not",
    against="every split",
)
def mmd_unbiased() -> Check:
    from fivefold.evaluation.generative import kernel_mmd

    rows = np.random.default_rng(0).normal(size=(8, 2))
    values: dict[bool, list[float]] = {True: [], False: []}
    for chosen in itertools.combinations(range(8), 4):
        mask = np.isin(np.arange(8), chosen)
        for flag, kept in values.items():
            kept.append(kernel_mmd(rows[mask], rows[~mask], bandwidth=1.0, unbiased=flag))
    # Over all splits every pair is as often within a part as across, so the terms cancel.
    wrong = abs(np.mean(values[True])) + float(not np.mean(values[False]) > 0.05) + float(not min(values[True]) < 0)
    x, y = _samples()
    wrong += float(not kernel_mmd(x, y) > 0.05)
    return Check(float(wrong), 1e-14, "sum of differences", "enumeration")


@evidence(
    "sample-wasserstein-metric",
    claim="The best assignment is the transport of uniform masses",
    against="POT emd2",
    peer="ot",
)
def wasserstein_pot() -> Check:
    import ot
    from scipy.spatial.distance import cdist

    from fivefold.evaluation.generative import sample_wasserstein

    x, y = _samples()
    x, worst = x[:45], 0.0
    for order in (1.0, 2.0, 3.5):
        exact = ot.emd2([], [], cdist(x, y) ** order) ** (1 / order)
        worst = largest(worst, abs(sample_wasserstein(x, y, order=order) - exact))
    return Check(float(worst), 1e-10, "max difference", "POT")


@evidence("sample-wasserstein-metric", claim="All permutations, sorted columns and shifts agree", against="brute force")
def wasserstein_brute_force() -> Check:
    from fivefold.evaluation.generative import SampleWasserstein, sample_wasserstein

    x, y = (s[:6] for s in _samples())
    wrong = 0.0
    for order in (1.0, 2.0):
        best = min(np.mean(np.linalg.norm(x - y[list(p)], axis=1) ** order) for p in itertools.permutations(range(6)))
        wrong += abs(sample_wasserstein(x, y, order=order) - best ** (1 / order))
    wrong += abs(sample_wasserstein(x, y) - sample_wasserstein(x, y, order=1.0))
    a, b = _samples()[0][:, 0], _samples()[0][:, 1] * 2
    wrong += abs(sample_wasserstein(a, b) - np.abs(np.sort(a) - np.sort(b)).mean())
    wrong += abs(sample_wasserstein(x, x[::-1] + [3, 0, 4, 0]) - 5.0) + abs(sample_wasserstein(x, x[::-1]))
    total = SampleWasserstein().update(x[:2], None).merge(SampleWasserstein().update(None, y)).update(x[2:], None)
    return Check(float(wrong + abs(total.compute() - sample_wasserstein(x, y))), 1e-12, "sum of differences", "by hand")


def _images(rows: int, seed: int) -> np.ndarray:
    """Return images of coarse light and dark and fine stripes, as a photograph has, of 16 × 16 pixels."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.normal(size=(rows, 2, 2)), np.ones((8, 8)))
    return 0.15 * coarse + np.repeat(rng.normal(size=(rows, 1, 16)), 16, axis=1)


@evidence(
    "nearest-neighbor-copy-test", claim="Planted copies are flagged, fresh rows are not", against="how they were made"
)
def copies_planted() -> Check:
    from fivefold.evaluation.memorization import NearestNeighborCopyTest

    rng = np.random.default_rng(0)
    train, fresh = rng.normal(size=(200, 20)), rng.normal(size=(50, 20))
    generated = np.concatenate([train[[3, 99, 150]], fresh])
    wrong = 0.0
    for distance, power in (("l2", 2), ("l1", 1)):
        found = NearestNeighborCopyTest(distance).test(train, generated)
        wrong += float(found.copied.tolist() != [True] * 3 + [False] * 50) + abs(found.share - 3 / 53)
        wrong += float(found.nearest[:3].tolist() != [3, 99, 150]) + found.threshold
        table = (np.abs(generated[:, None] - train) ** power).sum(axis=2) ** (1 / power)
        wrong += np.abs(found.distance - table.min(axis=1)).max() + float((found.nearest != table.argmin(axis=1)).any())
        noisy = NearestNeighborCopyTest(distance).calibrate(train, fresh, quantile=0.0)
        wrong += abs(noisy.threshold - found.distance[3:].min())
        wrong += float(noisy.test(train, train[:40] + 0.05 * rng.normal(size=(40, 20))).share != 1.0)
    return Check(float(wrong), 1e-5, "sum of differences", "planted rows")


@evidence(
    "nearest-neighbor-copy-test",
    claim="A shift of 2-4 pixels fools pixel distances, not the shifted ones",
    against="planted shifts",
)
def copies_shifted() -> Check:
    from fivefold.evaluation.memorization import NearestNeighborCopyTest

    train = _images(300, 0)
    plain, moving = NearestNeighborCopyTest(), NearestNeighborCopyTest(threshold=1e-9, max_shift=4)
    wrong, own = 0, np.arange(30)
    wrong += int(not np.array_equal(plain.test(train, train[:30]).nearest, own))  # the control: no shift
    for shift in (2, 3, 4):
        shifted = np.roll(train[:30], -shift, axis=2)
        wrong += int(not np.mean(plain.test(train, shifted).nearest == own) <= 0.3) + int(
            not plain.test(train, shifted).share <= 0
        )
        found = moving.test(train, shifted)
        wrong += int(not np.array_equal(found.nearest, own)) + int(found.share != 1.0)
        up = moving.test(train, np.roll(train[:30], shift, axis=1))
        wrong += int(not np.array_equal(up.nearest, own)) + int(up.share != 1.0)
    wrong += int(not moving.test(train, _images(30, 1)).share <= 0)
    return Check(wrong, 0, "claims that fail", "06#memory-gan-check")


@evidence(
    "birthday-paradox-test",
    claim="Chances of a pair: 23 of 365 just above ½, every small case exact",
    against="enumeration",
)
def birthday_formula() -> Check:
    from fivefold.evaluation.memorization import collision_probability

    wrong = abs(collision_probability(23, 365) - 0.5072972343239854) + float(not collision_probability(22, 365) < 0.5)
    for n, s in itertools.product((1, 3, 5), (1, 2, 3, 4)):
        hits = np.mean([len(set(draw)) < s for draw in itertools.product(range(n), repeat=s)])
        wrong += abs(collision_probability(s, n) - hits)
    # One half is reached near √(2 ln 2 N) = 1.18 √N: at 400 for N = 115,000, and surely for the rule's N ≥ 0.16 million not yet.
    for n in (10_000, 1_000_000):
        near = math.sqrt(2 * math.log(2) * n)
        wrong += float(not abs(collision_probability(round(near), n) - 0.5) <= 1 / math.sqrt(n))
        wrong += float(not abs(near / math.sqrt(n) - 1.18) <= 0.005)
    return Check(float(wrong), 1e-12, "sum of differences", "enumeration")


@evidence(
    "birthday-paradox-test",
    claim="A known support is found again; 400 tells of about 0.16 million",
    against="uniform draws",
)
def birthday_found() -> Check:
    from fivefold.evaluation.memorization import BirthdayParadoxTest, collision_probability

    rng = np.random.default_rng(0)
    support, size, batches = 2000, 53, 300
    points = rng.normal(size=(support, 3))
    drawn = points[rng.integers(0, support, (batches, size))]
    found = BirthdayParadoxTest().test(drawn)
    chance = collision_probability(size, support)
    wrong = (
        float(not abs(found.share - chance) <= 4.5 * math.sqrt(chance * (1 - chance) / batches))
        + abs(chance - 0.5) // 0.03
    )
    # The share's error of 0.029 at ½ moves ln 1/(1 - share) by 0.058 of 0.69, 8 %.
    wrong += float(not abs(found.exact_support / support - 1) <= 4.5 * 0.084)
    exact = size * (size - 1) / (2 * math.log(1 / (1 - found.share)))
    wrong += abs(found.exact_support / exact - 1) + float(found.support != 53**2)
    collided = found.distance == 0
    a, b = found.pairs[collided].T
    wrong += float(np.abs(drawn[collided][np.arange(len(a)), a] - drawn[collided][np.arange(len(a)), b]).max())
    wrong += float((a == b).any()) + abs(collided.mean() - found.share)
    near = BirthdayParadoxTest(threshold=1e-3).test(drawn + 1e-5 * rng.normal(size=drawn.shape))
    wrong += float(not near.share >= found.share) + float(
        BirthdayParadoxTest().test(drawn + 1e-5 * rng.normal(size=drawn.shape)).share
    )
    wide = BirthdayParadoxTest().test(rng.normal(size=(3, 400, 2)))
    wrong += float(wide.support != 160_000) + float(wide.exact_support != math.inf) + wide.share
    same = BirthdayParadoxTest(distance="l1").test(np.zeros((2, 4, 3)))
    wrong += float(same.exact_support != 0.0) + float(same.share != 1.0)
    return Check(float(wrong), 1e-9, "sum of differences", "uniform draws")
