"""Evidence for hyper-parameter search: known optima, closed forms of its parts, and parity of its grid."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest

BRANIN_MINIMUM = 0.39788735772973816  # 10 / (8 pi), at (-pi, 12.275), (pi, 2.275) and (9.42478, 2.475)
BRANIN_SPACE = {"x": {"low": -5.0, "high": 10.0}, "y": {"low": 0.0, "high": 15.0}}


def branin(params: dict[str, Any]) -> float:
    """Return the function of Branin (Dixon & Szego 1978)."""
    x, y = params["x"], params["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return float(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def _regrets(method: str, n_trials: int, seeds: int, *, flip: bool = False) -> np.ndarray:
    from fivefold.workbench.search import Space, search

    space = Space.from_dict(BRANIN_SPACE)
    found = []
    for seed in range(seeds):
        if flip:
            best = search(lambda p: -branin(p), space, n_trials=n_trials, method=method, seed=seed).best
        else:
            best = search(branin, space, n_trials=n_trials, method=method, seed=seed, maximize=False).best
        found.append(abs(best.score or 0.0) - BRANIN_MINIMUM)
    return np.array(found)


@evidence(
    "hyperparameter-search",
    claim="The minimum of Branin is reached within 0.02 in 30 trials for each of four seeds (the range is 308)",
    against="the known minimum 0.397887",
)
def finds_branin() -> Check:
    return Check(float(_regrets("bayesian", 30, 4).max()), 0.02, "largest regret", "known minimum")


@evidence(
    "hyperparameter-search",
    claim="Maximizing the negative of Branin proposes the very points that minimizing Branin does",
    against="the same search with the sign turned",
)
def direction() -> Check:
    down, up = _regrets("bayesian", 16, 2), _regrets("bayesian", 16, 2, flip=True)
    return Check(float(np.abs(down - up).max()), 0.0, "difference of regrets", "symmetry")


@evidence(
    "hyperparameter-search",
    claim="On Branin the median regret after 25 trials is at most a tenth of that of quasi-random search",
    against="random search at equal trials",
    slow=True,
)
def beats_random() -> Check:
    ours, random = _regrets("bayesian", 25, 5), _regrets("random", 25, 5)
    return Check(float(np.median(ours) / np.median(random)), 0.1, "ratio of median regrets", "random search")


@evidence(
    "hyperparameter-search",
    claim="On Branin the median regret after 30 trials is no larger than Optuna's",
    against="Optuna TPE at equal trials",
    peer="optuna",
    slow=True,
)
def beside_optuna() -> Check:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    theirs = []
    for seed in range(5):
        study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(
            lambda trial: branin({k: trial.suggest_float(k, v["low"], v["high"]) for k, v in BRANIN_SPACE.items()}),
            n_trials=30,
        )
        theirs.append(study.best_value - BRANIN_MINIMUM)
    ratio = np.median(_regrets("bayesian", 30, 5)) / np.median(theirs)
    return Check(float(ratio), 1.0, "ratio of median regrets", "Optuna TPE")


def _grid_difference(estimator: Any, grid: dict[str, list[Any]], X: np.ndarray, y: np.ndarray, scoring: Any) -> float:
    from sklearn.model_selection import GridSearchCV

    from fivefold.workbench.search import SearchCV

    ours = SearchCV(estimator, grid, method="grid", cv=5, scoring=scoring).fit(X, y)
    theirs = GridSearchCV(estimator, grid, cv=5, scoring=scoring).fit(X, y)
    scores = np.array([trial.score for trial in ours.cv_results_], dtype=np.float64)
    if [trial.params for trial in ours.cv_results_] != theirs.cv_results_["params"]:
        return math.inf
    if ours.best_params_ != theirs.best_params_ or not np.array_equal(ours.predict(X), theirs.predict(X)):
        return math.inf
    return float(np.abs(scores - theirs.cv_results_["mean_test_score"]).max())


@evidence(
    "hyperparameter-search",
    claim="A grid over our Ridge on diabetes gives the points, mean scores, best parameters and predictions of GridSearchCV",
    against="scikit-learn GridSearchCV",
)
def grid_ridge() -> Check:
    from fivefold.data.datasets import load_dataset
    from fivefold.models.linear.ridge import Ridge

    X, y = load_dataset("diabetes").xy()
    grid = {"solver": ["svd", "cholesky"], "alpha": [1e-3, 1e-2, 0.1, 1.0], "fit_intercept": [True, False]}
    worst = largest(_grid_difference(Ridge(), grid, X, y, name) for name in (None, "neg_mean_absolute_error"))
    return Check(worst, 1e-12, "largest difference of mean scores", "scikit-learn GridSearchCV")


@evidence(
    "hyperparameter-search",
    claim="On iris, where neighbor counts tie, a grid takes stratified folds and the first of equal scores as GridSearchCV does",
    against="scikit-learn GridSearchCV",
)
def grid_ties() -> Check:
    from fivefold.data.datasets import load_dataset
    from fivefold.models.linear.neighbors import KNeighborsClassifier

    X, y = load_dataset("iris").xy()
    grid = {"weights": ["uniform", "distance"], "n_neighbors": [1, 3, 5, 7, 9, 11]}
    worst = _grid_difference(KNeighborsClassifier(), grid, X, y, None)
    return Check(worst, 1e-12, "largest difference of mean scores", "scikit-learn GridSearchCV")


def _process_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(30, 3))
    return x, np.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(30), rng.uniform(size=(50, 3))


@evidence(
    "hyperparameter-search",
    claim="Mean, deviation and marginal likelihood of the Gaussian process agree at given kernel parameters",
    against="scikit-learn GaussianProcessRegressor with the same Matern 5/2 kernel",
)
def process_parity() -> Check:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    from fivefold.workbench.search_bayes import GaussianProcess, negative_log_likelihood, squared_differences

    x, y, new = _process_data()
    length, signal, noise = np.array([0.3, 0.8, 2.5]), 1.7, 0.02
    kernel = ConstantKernel(signal) * Matern(length_scale=length, nu=2.5)
    peer = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(x, y)
    theirs = peer.predict(new, return_std=True)
    ours = GaussianProcess.given(x, y, length, signal, noise).predict(new)
    worst = largest(float(np.abs(a - b).max()) for a, b in zip(ours, theirs))
    theta = np.log([*length, signal, noise])
    value, _ = negative_log_likelihood(theta, squared_differences(x, x, np.zeros(3, dtype=bool)), y)
    return Check(
        largest(worst, abs(value + peer.log_marginal_likelihood_value_)), 1e-9, "largest difference", "scikit-learn"
    )


@evidence(
    "hyperparameter-search",
    claim="The gradient of the marginal likelihood is its derivative, choices included",
    against="central differences",
)
def likelihood_gradient() -> Check:
    from fivefold.workbench.search_bayes import negative_log_likelihood, squared_differences

    x, y, _ = _process_data()
    x[:, 2] = np.floor(x[:, 2] * 3) / 3
    squares = squared_differences(x, x, np.array([False, False, True]))
    theta, step = np.log([0.3, 0.8, 1.5, 1.7, 0.05]), 1e-5
    numeric = [
        (negative_log_likelihood(theta + e, squares, y)[0] - negative_log_likelihood(theta - e, squares, y)[0])
        / (2 * step)
        for e in step * np.eye(5)
    ]
    gradient = negative_log_likelihood(theta, squares, y)[1]
    return Check(float(np.abs(gradient - numeric).max()), 1e-6, "max |gradient - difference|", "central differences")


@evidence(
    "hyperparameter-search",
    claim="The logarithm of the expected improvement is right from 5 deviations above the best to 30 below",
    against="quadrature of the improvement times the normal density",
)
def improvement() -> Check:
    from scipy.integrate import quad

    from fivefold.workbench.search_bayes import log_expected_improvement

    worst, best = 0.0, 0.7
    for deviation in (0.05, 1.0, 3.0):
        for z in (5.0, 1.0, 0.3, 0.0, -0.5, -0.99, -1.01, -2.0, -8.0, -30.0):
            # With f = best + deviation * t the density is taken relative to its value at t = 0.
            integral = quad(
                lambda t, z=z: t * math.exp(-0.5 * t * t + t * z), 0, max(z, 0) + 12, epsabs=0, epsrel=1e-12
            )
            exact = math.log(integral[0]) + math.log(deviation) - 0.5 * z * z - 0.5 * math.log(2 * math.pi)
            ours = float(log_expected_improvement(np.array([best + deviation * z]), np.array([deviation]), best)[0])
            worst = largest(worst, abs(ours - exact))
    return Check(worst, 1e-9, "max |log EI - quadrature|", "scipy.integrate.quad")


@evidence(
    "hyperparameter-search",
    claim="Every point of a finite space is proposed once, whatever the method, and a search stopped anywhere goes on alike",
    against="the enumeration of the space, and the search that was not stopped",
)
def exhausts() -> Check:
    from fivefold.workbench.search import METHODS, Space, Trial, propose, search

    space = Space.from_dict({"a": {"low": 1, "high": 5}, "b": {"choices": [None, "x", True]}, "c": [0.5, 2]})
    wrong = 0
    for method in METHODS:
        done = search(lambda p: -abs(p["a"] - 2) + p["c"], space, n_trials=60, method=method, seed=3).trials
        wrong += len(done) != 30 or len({space.key(t.params) for t in done}) != 30
        again = [Trial(t.params, t.score) for t in done]
        wrong += sum(
            propose(space, again[:k], seed=3, method=method, points=60) != done[k].params for k in range(0, 30, 4)
        )
        wrong += propose(space, again, seed=3, method=method, points=60) is not None
    return Check(float(wrong), 0.0, "points missed, repeated or changed", "enumeration")


@evidence(
    "hyperparameter-search",
    claim="Quasi-random points cover the unit square evenly: each of 64 cells holds one of the first 64",
    against="the definition of a (0, 6, 2)-net, here its 64 x 1, 8 x 8 and 1 x 64 cells",
)
def even() -> Check:
    from fivefold.base.random import Streams
    from fivefold.workbench.search_bayes import sobol_points

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrong = 0
        for seed in range(3):
            u = np.vstack([sobol_points(Streams(seed), "s", 2, 0, 5), sobol_points(Streams(seed), "s", 2, 5, 59)])
            for cells in (1, 8, 64):
                index = np.floor(u[:, 0] * cells) * (64 // cells) + np.floor(u[:, 1] * (64 // cells))
                wrong += 64 - len(np.unique(index))
    return Check(float(wrong), 0.0, "empty cells", "definition")
