"""The demonstrations of linear models: their exact parts and their claims, each with a control in which it vanishes."""

from __future__ import annotations

import tempfile

import numpy as np

from fivefold.evidence import Check, evidence, largest


@evidence(
    "least-squares-classification",
    claim="The boundaries are those of the normal equations and of the peer; angles are exact",
    against="numpy.linalg.solve, scikit-learn RidgeClassifier and an angle by hand",
)
def least_squares_exact() -> Check:
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.svm import SVC

    from fivefold.demos.linear.least_squares import LeastSquaresClassificationDemo, boundaries, turn

    X, y, far = LeastSquaresClassificationDemo().data(1)
    X, y = np.vstack([X, far]), np.append(y, np.ones(len(far), dtype=int))
    found = boundaries(X, y)
    wide = np.hstack([X, np.ones((len(X), 1))])
    worst = largest(np.abs(found["least squares"] - np.linalg.solve(wide.T @ wide, wide.T @ y)).max())
    ridge = RidgeClassifier(alpha=1e-10).fit(X, y)
    worst = largest(worst, np.abs(found["least squares"] - np.append(ridge.coef_, ridge.intercept_)).max())
    soft = LogisticRegression(tol=1e-8).fit(X, y)
    worst = largest(worst, np.abs(found["logistic"] - np.append(soft.coef_, soft.intercept_)).max() * 1e-3)
    machine = SVC(kernel="linear", tol=1e-6).fit(X, y)
    # The soft margin stops at a violation of 1e-3 of its conditions.
    worst = largest(worst, np.abs(found["hinge"] - np.append(machine.coef_, machine.intercept_)).max() * 1e-6)
    corner = turn(np.array([1.0, 0.0, 5.0]), np.array([2.0, 2.0, -1.0]))
    worst = largest(worst, abs(corner - 45), abs(turn(np.array([1.0, 2, 0]), np.array([-1.0, -2, 0])) - 180))
    return Check(worst, 1e-6, "largest difference", "scikit-learn RidgeClassifier")


@evidence(
    "least-squares-classification",
    claim="Far, correct points turn least squares only; without distance nothing turns",
    against="the same data without them",
)
def least_squares_claim() -> Check:
    from fivefold.demos.linear.least_squares import LeastSquaresClassificationDemo

    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 1):
            seen = LeastSquaresClassificationDemo().run(seed, folder, quick=True).numbers
            faults += not seen["least squares: turn in degrees"] >= 20
            faults += not largest(seen["logistic: turn in degrees"], seen["hinge: turn in degrees"]) <= 1
            faults += not seen["least squares: errors after"] > seen["least squares: errors before"]
            faults += seen["hinge: errors after"] != seen["hinge: errors before"]
            # One class of three is right at best where the line through the coded centers is flat.
            faults += not seen["classes coded 1, 2, 3: accuracy of least squares"] <= 0.5
            faults += not seen["classes coded 1, 2, 3: accuracy of softmax"] >= 0.95
        none = LeastSquaresClassificationDemo(n_far=0).run(0, folder, quick=True).numbers
        faults += (
            not largest(none[f"{name}: turn in degrees"] for name in ("least squares", "logistic", "hinge")) <= 1e-6
        )
        facts = LeastSquaresClassificationDemo()
        faults += (facts.n_points, facts.n_far, facts.distance) != (60, 20, 15.0)
    return Check(float(faults), 0.0, "faults")


@evidence(
    "logistic-squared-error-failure",
    claim="Losses and slopes are exact, and the squared slope tends to 0 for answers of any wrongness",
    against="torch autograd and the closed form",
)
def squared_error_exact() -> Check:
    import torch

    from fivefold.demos.linear.squared_error import SquaredErrorFailureDemo, losses, slopes

    z = np.linspace(-30, 30, 61)
    worst = 0.0
    for y in (0.0, 1.0):
        target = np.full(61, y)
        t = torch.tensor(z, dtype=torch.float64, requires_grad=True)
        values = {
            "cross-entropy": torch.nn.functional.binary_cross_entropy_with_logits(
                t, torch.tensor(target), reduction="none"
            ),
            "squared error": (torch.sigmoid(t) - torch.tensor(target)) ** 2,
        }
        for name, value in values.items():
            (slope,) = torch.autograd.grad(value.sum(), t, retain_graph=True)
            worst = largest(worst, np.abs(losses(z, target)[name] - value.detach().numpy()).max())
            worst = largest(worst, np.abs(slopes(z, target)[name] - slope.numpy()).max())
    # f = 1/4 for y = 1: 2 (f - 1) f (1 - f) = -9/32; at a score of -k it is -2 e^-k to first order.
    at = slopes(np.array([-np.log(3.0), -20.0]), np.ones(2))
    worst = largest(worst, abs(at["squared error"][0] + 9 / 32), abs(at["cross-entropy"][0] + 3 / 4))
    worst = largest(worst, 1e-6 * abs(at["squared error"][1] / (-2 * np.exp(-20)) - 1), abs(at["cross-entropy"][1] + 1))
    demo = SquaredErrorFailureDemo(n_steps=2)
    X, y2 = demo.data(0)
    w = np.full(2, -3 / np.sqrt(2))
    path = demo.descend(X, y2, "squared error", 3.0)
    f = 1 / (1 + np.exp(-X @ w))
    worst = largest(worst, np.abs(path[0] - w).max())
    worst = largest(worst, np.abs(path[1] - w + 0.5 * ((2 * (f - y2) * f * (1 - f))[:, None] * X).mean(axis=0)).max())
    return Check(worst, 1e-8, "largest difference", "torch")


@evidence(
    "logistic-squared-error-failure",
    claim="From a bad start only the cross-entropy learns; from a neutral one both do",
    against="descent with the same steps",
)
def squared_error_claim() -> Check:
    from fivefold.demos.linear.squared_error import SquaredErrorFailureDemo

    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 3):
            result = SquaredErrorFailureDemo().run(seed, folder, quick=True)
            seen = result.numbers
            faults += not seen["cross-entropy: accuracy at the end from a bad start"] >= 0.9
            faults += not 0 < seen["cross-entropy: steps from a bad start"] < 100
            faults += not seen["squared error: accuracy at the end from a bad start"] <= 0.5
            faults += seen["squared error: steps from a bad start"] != -1
            faults += not seen["squared error: accuracy at the end from a neutral start"] >= 0.9
            faults += not seen["cross-entropy: accuracy at the end from a neutral start"] >= 0.9
            for score, expected in ((-10, 1 / (1 + np.exp(-10))), (0, 0.5), (10, 1 / (1 + np.exp(10)))):
                got = seen[f"cross-entropy: size of the slope at score {score} for y = 1"]
                square = seen[f"squared error: size of the slope at score {score} for y = 1"]
                faults += not abs(got - expected) <= 1e-12
                faults += not abs(square - 2 * expected**2 * (1 - expected)) <= 1e-12
            faults += "does not get there in 400 steps" not in result.text
    facts = SquaredErrorFailureDemo()
    faults += (facts.n_points, facts.bad, facts.learning_rate, facts.n_steps) != (100, 12.0, 0.5, 400)
    return Check(float(faults), 0.0, "faults")


@evidence(
    "generative-vs-discriminative",
    claim="Error rates, limits and the naive Bayes score are exact",
    against="counting two million draws, Bayes' rule by densities and scikit-learn GaussianNB's means",
)
def generative_exact() -> Check:
    from scipy.stats import multivariate_normal, norm
    from sklearn.naive_bayes import GaussianNB

    from fivefold.demos.linear.generative import covariance, error_rate, limits, naive_bayes

    rng = np.random.default_rng(0)
    mean, matrix = np.array([0.5, 0.2, 0.4]), covariance(3, 2, 0.6)
    worst = largest(np.abs(matrix - [[1, 0.6, 0], [0.6, 1, 0], [0, 0, 1]]).max())
    w, b, n = np.array([1.0, -0.5, 2.0]), 0.3, 200_000
    y = np.arange(n) % 2
    X = (2.0 * y - 1)[:, None] * mean + rng.multivariate_normal(np.zeros(3), matrix, size=n)
    counted = ((X @ w + b > 0) != y).mean()
    # Five standard errors of the count stand for 1e-8.
    worst = largest(worst, abs(error_rate(w, b, mean, matrix) - counted) / (5 * 0.5 / np.sqrt(n)) * 1e-8)
    ends = limits(mean, matrix)
    densities = [multivariate_normal(s * mean, matrix).logpdf(X) for s in (-1, 1)]
    best = ((densities[1] > densities[0]) != y).mean()
    worst = largest(worst, abs(ends["logistic regression"] - best) / (5 * 0.5 / np.sqrt(n)) * 1e-8)
    worst = largest(worst, abs(ends["naive Bayes"] - norm.cdf(-(mean @ mean) / np.sqrt(mean @ matrix @ mean))))
    # The score is the difference of the log joint densities with the pooled variance.
    few, labels = X[:21] * [1, 2, 3], y[:21]
    w, b = naive_bayes(few, labels)
    peer = GaussianNB().fit(few, labels)
    pooled = (peer.class_count_ / 21) @ (peer.var_ - peer.epsilon_)
    joint = [
        norm.logpdf(few, peer.theta_[c], np.sqrt(pooled)).sum(axis=1) + np.log(peer.class_prior_[c]) for c in (0, 1)
    ]
    worst = largest(worst, np.abs(few @ w + b - (joint[1] - joint[0])).max())
    return Check(worst, 1e-8, "largest difference")


@evidence(
    "generative-vs-discriminative",
    claim="The curves cross where features are correlated and do not where they are independent",
    against="the limits in closed form",
)
def generative_claim() -> Check:
    from fivefold.demos.linear.generative import GenerativeDiscriminativeDemo

    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 1):
            seen = GenerativeDiscriminativeDemo(n_repeats=30).run(seed, folder, quick=True).numbers
            first = "correlated features, {} examples: error of {}"
            faults += not seen[first.format(40, "naive Bayes")] < seen[first.format(40, "logistic regression")]
            faults += (
                not seen[first.format(2560, "naive Bayes")] > seen[first.format(2560, "logistic regression")] + 0.02
            )
            faults += not 40 < seen["correlated features: logistic regression ahead from"] <= 2560
            faults += seen["independent features: logistic regression ahead from"] != -1
            for world in ("correlated features", "independent features"):
                for name in ("naive Bayes", "logistic regression"):
                    end = seen[f"{world}, 2560 examples: error of {name}"] - seen[f"{world}: limit of {name}"]
                    # The excess of d = 30 parameters on n = 2,560 examples is of the order d / n = 0.012.
                    # Below its limit only a model can be that does not tend to the best.
                    wrong_model = world[0] == "c" and name == "naive Bayes"
                    faults += not (-0.012 if wrong_model else 0.0) <= end < 0.012
            gap = (
                seen["independent features: limit of naive Bayes"]
                - seen["independent features: limit of logistic regression"]
            )
            faults += not abs(gap) <= 1e-12
    facts = GenerativeDiscriminativeDemo()
    faults += (facts.n_features, facts.n_tied, facts.correlation, facts.signal, facts.n_repeats) != (
        30,
        10,
        0.3,
        0.3,
        30,
    )
    return Check(float(faults), 0.0, "faults")
