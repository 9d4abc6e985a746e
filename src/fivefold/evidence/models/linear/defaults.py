"""Parameters that carry a name of the peer carry its default too."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

from fivefold.evidence import Check, evidence, worst_check


def _differing(ours: type, theirs: type, *also: str, apart: tuple[str, ...] = ()) -> Check:
    """Count shared parameters with another default; those of ``also`` must be among them."""
    mine, known = (inspect.signature(c.__init__).parameters for c in (ours, theirs))
    shared = [n for n in mine if n in known and n not in ("self", "solver", "penalty", *apart)]
    wrong = [n for n in shared if mine[n].default != known[n].default]
    missing = [n for n in also if n not in shared]
    return Check(
        len(wrong) + len(missing), 0, f"defaults that differ {[*wrong, *missing]}", f"scikit-learn {theirs.__name__}"
    )


@evidence(
    "linear-regression", claim="Shared parameters have the peer's defaults", against="scikit-learn LinearRegression"
)
def linear_defaults() -> Check:
    from sklearn.linear_model import LinearRegression as Peer

    from fivefold.models.linear import LinearRegression

    # The peer's `tol` belongs to its solver for sparse rows, ours to gradient descent.
    return _differing(LinearRegression, Peer, "fit_intercept", apart=("tol",))


@evidence("ridge-regression", claim="Shared parameters have the peer's defaults", against="scikit-learn Ridge")
def ridge_defaults() -> Check:
    from sklearn.linear_model import Ridge as Peer

    from fivefold.models.linear import Ridge

    return _differing(Ridge, Peer, "alpha", "fit_intercept")


@evidence(
    "logistic-regression", claim="Shared parameters have the peer's defaults", against="scikit-learn LogisticRegression"
)
@evidence(
    "softmax-regression", claim="Shared parameters have the peer's defaults", against="scikit-learn LogisticRegression"
)
def logistic_defaults() -> Check:
    from sklearn.linear_model import LogisticRegression as Peer

    from fivefold.models.linear import LogisticRegression, SoftmaxRegression

    names = ("C", "tol", "fit_intercept", "class_weight", "max_iter", "warm_start")
    checks: list[Any] = [_differing(c, Peer, *names) for c in (LogisticRegression, SoftmaxRegression)]
    return worst_check(*checks)


@evidence("gaussian-naive-bayes", claim="Shared parameters have the peer's defaults", against="scikit-learn GaussianNB")
def naive_bayes_defaults() -> Check:
    from sklearn.naive_bayes import GaussianNB as Peer

    from fivefold.models.linear import GaussianNB

    return _differing(GaussianNB, Peer, "priors", "var_smoothing")


@evidence("k-nearest-neighbors", claim="Shared parameters have the peer's defaults", against="scikit-learn KNeighbors")
def neighbors_defaults() -> Check:
    from sklearn import neighbors as peer

    from fivefold.models.linear import KNeighborsClassifier, KNeighborsRegressor

    names = ("n_neighbors", "weights", "algorithm", "leaf_size", "p", "metric")
    checks = [
        _differing(KNeighborsClassifier, peer.KNeighborsClassifier, *names),
        _differing(KNeighborsRegressor, peer.KNeighborsRegressor, *names),
    ]
    return worst_check(*checks)


@evidence("linear-regression", claim="Defaults are those of the documentation", against="the docstring")
@evidence("ridge-regression", claim="Defaults are those of the documentation", against="the docstring")
@evidence("logistic-regression", claim="Defaults are those of the documentation", against="the docstring")
@evidence("softmax-regression", claim="Defaults are those of the documentation", against="the docstring")
@evidence("gaussian-naive-bayes", claim="Defaults are those of the documentation", against="the docstring")
@evidence("k-nearest-neighbors", claim="Defaults are those of the documentation", against="the docstring")
def documented_defaults() -> Check:
    from fivefold.models import linear

    names = ("LinearRegression", "Ridge", "LogisticRegression", "SoftmaxRegression", "GaussianNB")
    wrong = []
    for name in (*names, "KNeighborsClassifier", "KNeighborsRegressor"):
        method = getattr(linear, name)
        said = dict(re.findall(r"^ {4}(\w+) : .*default=(\S+)$", method.__doc__, flags=re.MULTILINE))
        real = {n: p.default for n, p in inspect.signature(method.__init__).parameters.items() if n != "self"}
        wrong += [f"{name}.{n}" for n in real if n not in said or ast.literal_eval(said[n]) != real[n]]
        wrong += [f"{name}.{n}" for n in said if n not in real]
    return Check(len(wrong), 0, f"defaults that differ {wrong}", "the docstring")
