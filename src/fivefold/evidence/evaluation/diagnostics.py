"""Bias, variance and noise: exact enumeration, the closed form of least squares, mlxtend."""

from __future__ import annotations

import itertools

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "bias-variance-decomposition",
    claim="Error = squared bias + variance + noise, exactly",
    against="every data set that there can be",
)
def bias_variance_enumerated() -> Check:
    from fivefold.evaluation.diagnostics import decompose

    x, points, sigma = np.linspace(-1, 1, 8), np.array([-0.8, 0.1, 0.9]), 0.7
    truth = np.exp(points)
    noise = sigma * np.array(list(itertools.product([-1.0, 1.0], repeat=8)))  # (256, 8), equally likely
    fits = np.array([np.polyval(np.polyfit(x, np.exp(x) + e, 2), points) for e in noise])
    # Fresh targets are above and below the truth equally often, whatever the training set was.
    predictions, targets = (
        np.concatenate([fits, fits]),
        np.concatenate([truth + sigma + 0 * fits, truth - sigma + 0 * fits]),
    )
    found = decompose(predictions, truth, noise=sigma**2, targets=targets, exhaustive=True)
    wrong = abs(found.gap) + abs(found.error - np.mean((targets - predictions) ** 2)) + found.standard_error
    wrong += np.abs(found.bias2 - (fits.mean(axis=0) - truth) ** 2).max()
    wrong += np.abs(found.variance - np.mean((fits - fits.mean(axis=0)) ** 2, axis=0)).max()
    return Check(float(wrong), 1e-12, "sum of differences", "enumeration")


@evidence(
    "bias-variance-decomposition",
    claim="Estimates from D models are unbiased: s² divides by D - 1, bias² is corrected",
    against="all samples of a small population",
)
def bias_variance_unbiased() -> Check:
    from fivefold.evaluation.diagnostics import decompose

    population, truth = np.array([0.3, 1.1, 2.5, -0.7]), np.array([0.4])
    samples = [decompose(np.array(s)[:, None], truth) for s in itertools.product(population, repeat=3)]
    variance = np.mean((population - population.mean()) ** 2)
    wrong = abs(np.mean([s.variance[0] for s in samples]) - variance)
    wrong += abs(np.mean([s.bias2[0] for s in samples]) - (population.mean() - truth[0]) ** 2)
    # The form that divides by D has the mean (D - 1)/D σ².
    divided = [np.mean((np.array(s) - np.mean(s)) ** 2) for s in itertools.product(population, repeat=3)]
    wrong += abs(np.mean(divided) - 2 / 3 * variance)
    wrong += abs(np.mean([s.error for s in samples]) - np.mean((population - truth[0]) ** 2))
    return Check(float(wrong), 1e-12, "sum of differences", "enumeration")


@evidence(
    "bias-variance-decomposition",
    claim="Sampled parts of polynomial fits lie within five standard errors",
    against="the closed form of least squares",
)
def bias_variance_closed_form() -> Check:
    from fivefold.demos.bias_variance import BiasVarianceDemo, exact_parts, true_function

    demo = BiasVarianceDemo(n_datasets=400)
    points, worst = np.linspace(-1, 1, 201), 0.0
    for size, degree in itertools.product((10, 100), (1, 5)):
        parts, predictions = demo._parts(0, size, degree, points)
        x = np.linspace(-1, 1, size)
        # The hat matrix in powers instead of Legendre polynomials.
        weights = np.vander(points, degree + 1) @ np.linalg.pinv(np.vander(x, degree + 1))
        bias = weights @ true_function(x) - true_function(points)
        variance = demo.noise * (weights**2).sum(axis=1)
        closed = exact_parts(x, points, degree, demo.noise)
        worst = largest(worst, 1e6 * abs(closed[0] - (bias**2).mean()), 1e6 * abs(closed[1] - variance.mean()))
        # A sample variance of D normal values has the standard error σ² √(2 / (D - 1)); points are correlated.
        worst = largest(worst, abs(parts.variance.mean() / variance.mean() - 1) / np.sqrt(2 / 399))
        worst = largest(worst, abs(parts.gap) / parts.standard_error)
        # Bound of |mean bias² - its expectation|: the mean model errs by a normal value of variance σ²/D at each point.
        spread = np.sqrt(np.mean(4 * bias**2 * variance / 400 + 2 * (variance / 400) ** 2))
        worst = largest(worst, abs(parts.bias2.mean() - (bias**2).mean()) / spread)
        worst = largest(worst, 1e9 * abs(parts.mean_prediction - predictions.mean(axis=0)).max())
    return Check(float(worst), 5.0, "standard errors", "closed form")


@evidence(
    "bias-variance-decomposition",
    claim="At training points the identity fails, by 2σ²p/n",
    against="every data set that there can be",
)
def bias_variance_not_at_training_points() -> Check:
    from fivefold.demos.bias_variance import exact_parts, features, true_function
    from fivefold.evaluation.diagnostics import decompose

    x, sigma, degree = np.linspace(-1, 1, 8), 0.7, 2
    truth = true_function(x)
    noise = sigma * np.array(list(itertools.product([-1.0, 1.0], repeat=8)))  # (256, 8)
    hat = features(x, degree) @ np.linalg.pinv(features(x, degree))
    fits = (truth + noise) @ hat
    trained = decompose(fits, truth, noise=sigma**2, targets=truth + noise, exhaustive=True)
    bias2, variance = exact_parts(x, x, degree, sigma**2)
    wrong = abs(trained.gap + 2 * sigma**2 * 3 / 8) + abs(trained.bias2.mean() - bias2)
    wrong += abs(variance - sigma**2 * 3 / 8) + abs(trained.variance.mean() - variance)
    return Check(float(wrong), 1e-12, "sum of differences", "enumeration")


@evidence(
    "bias-variance-decomposition",
    claim="Bootstrap rounds give the same loss, squared bias and variance",
    against="mlxtend bias_variance_decomp",
    peer="mlxtend",
)
def bias_variance_mlxtend() -> Check:
    from mlxtend.evaluate import bias_variance_decomp
    from sklearn.linear_model import LinearRegression

    from fivefold.evaluation.diagnostics import bias_variance_decomposition

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, 2.0, -1.0] + X[:, 0] ** 2 + rng.normal(size=60)
    X_test, y_test = X[40:], y[40:]
    draws = np.random.RandomState(5)

    def bootstrap(_: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rows = draws.choice(np.arange(40), size=40, replace=True)  # mlxtend's draws
        return X[rows], y[rows]

    rounds = 50
    ours = bias_variance_decomposition(LinearRegression(), bootstrap, X_test, y_test, n_datasets=rounds)
    loss, bias2, variance = bias_variance_decomp(
        LinearRegression(), X[:40], y[:40], X_test, y_test, loss="mse", num_rounds=rounds, random_seed=5
    )
    wrong = abs(ours.error - loss) + abs((ours.variance * (rounds - 1) / rounds).mean() - variance)
    # mlxtend divides by D and leaves the squared bias uncorrected.
    wrong += abs((ours.bias2 + ours.variance / rounds).mean() - bias2)
    return Check(float(wrong), 1e-11, "sum of differences", "mlxtend")


@evidence(
    "bias-variance-decomposition",
    claim="Error over degrees is U-shaped; ten times the data cut the variance tenfold",
    against="the closed form",
)
def bias_variance_claims() -> Check:
    import tempfile

    from fivefold.demos.bias_variance import BiasVarianceDemo

    with tempfile.TemporaryDirectory() as folder:
        numbers = BiasVarianceDemo().run(seed=0, out=folder, quick=True).numbers
    few, many = (numbers[f"degree 5, {n} examples: variance"] for n in (10, 100))
    simple, rich = (numbers[f"degree {d}, 10 examples: squared bias"] for d in (1, 5))
    wrong = int(not 0 < numbers["best degree by measured error"] < 9)
    # Averaged over the inputs the variance is σ²p/n; between and beside them it falls by about the same factor.
    wrong += int(not 5 < few / many < 20) + int(not rich < 0.05 * simple)
    wrong += int(not numbers["degree 1, 10 examples: variance"] < few)
    wrong += int(not numbers["degree 1, 100 examples: squared bias"] >= 0.5 * simple)
    return Check(wrong, 0, "claims that fail", "05#bias-variance-decomposition")
