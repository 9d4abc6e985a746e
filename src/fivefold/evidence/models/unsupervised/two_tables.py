"""Canonical correlations: the generalized eigenproblem, known correlations, invariance, ranks, scikit-learn."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _tables(n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = Streams(9).numpy("tables")
    shared = rng.normal(size=(n, 2))
    X = np.c_[shared, rng.normal(size=(n, 3))] @ rng.normal(size=(5, 5)) + [100, 0, -3, 1e3, 5]
    Y = np.c_[shared * [1.0, 0.5] + 0.7 * rng.normal(size=(n, 2)), rng.normal(size=n)] @ rng.normal(size=(3, 3)) - 20
    return X, Y


@evidence(
    "canonical-correlation-analysis",
    claim="Correlations are the roots of Sxx^-1 Sxy Syy^-1 Syx; projections have unit variance and only these correlations",
    against="generalized eigenproblem",
)
def eigenproblem() -> Check:
    from scipy.linalg import eigh

    from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

    X, Y = _tables()
    model = CanonicalCorrelationAnalysis().fit(X, Y)
    S = np.cov(np.c_[X, Y].T)
    xx, xy, yy = S[:5, :5], S[:5, 5:], S[5:, 5:]
    roots = eigh(xy @ np.linalg.solve(yy, xy.T), xx, eigvals_only=True)[::-1][:3]
    worst = float(np.abs(model.canonical_correlations_**2 - roots).max())
    a, b = model.transform(X, Y)
    rho = np.diag(model.canonical_correlations_)
    worst = largest(worst, float(np.abs(np.cov(np.c_[a, b].T) - np.block([[np.eye(3), rho], [rho, np.eye(3)]])).max()))
    worst = largest(worst, float(np.abs(np.r_[a.mean(axis=0), b.mean(axis=0)]).max()))
    worst = largest(
        worst,
        float(np.abs(model.transform(X) - a).max()),
        float(np.abs(CanonicalCorrelationAnalysis().fit_transform(X, Y) - a).max()),
    )
    in_deviations = model.x_weights_ * X.std(axis=0)[:, None]
    worst = largest(worst, float((~(in_deviations[np.abs(in_deviations).argmax(axis=0), np.arange(3)] > 0)).any()))
    two = CanonicalCorrelationAnalysis(2).fit(X, Y)
    worst = largest(
        worst, float(np.abs(two.x_weights_ - model.x_weights_[:, :2]).max()), float(two.y_weights_.shape != (3, 2))
    )
    worst = largest(worst, float(CanonicalCorrelationAnalysis().get_params() != {"n_components": None}))
    return Check(worst, 1e-10, "largest difference", "generalized eigenproblem")


@evidence(
    "canonical-correlation-analysis",
    claim="One target gives the multiple correlation; any invertible map of either table changes no correlation",
    against="least squares, invariance",
)
def invariance() -> Check:
    from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

    X, Y = _tables()
    design = np.c_[X, np.ones(80)]
    rest = Y[:, 0] - design @ np.linalg.lstsq(design, Y[:, 0], rcond=None)[0]
    multiple = np.sqrt(1 - rest.var() / Y[:, 0].var())
    worst = abs(float(CanonicalCorrelationAnalysis().fit(X, Y[:, 0]).canonical_correlations_[0]) - multiple)
    known = CanonicalCorrelationAnalysis().fit(X, Y).canonical_correlations_
    rng = Streams(9).numpy("maps")
    turned = CanonicalCorrelationAnalysis().fit(X @ rng.normal(size=(5, 5)) + 7, Y @ rng.normal(size=(3, 3)))
    worst = largest(worst, float(np.abs(turned.canonical_correlations_ - known).max()))
    worst = largest(
        worst, float(np.abs(CanonicalCorrelationAnalysis().fit(Y, X).canonical_correlations_ - known).max())
    )
    # Columns that are constant, repeated or on another scale add nothing.
    odd = np.c_[X * [1, 1e8, 1, 1e-8, 1], X[:, 0] - X[:, 4], np.full(80, 1e5 / 3)]
    found = CanonicalCorrelationAnalysis().fit(odd, np.c_[Y, Y[:, 0]])
    worst = largest(
        worst, float(np.abs(found.canonical_correlations_ - known).max()), float(len(found.y_weights_.T) != 3)
    )
    worst = largest(worst, float(np.abs(found.transform(odd).std(axis=0, ddof=1) - 1).max()))
    # As many free columns as rows less one: everything correlates.
    few = CanonicalCorrelationAnalysis().fit(X[:5], Y[:5])
    worst = largest(worst, float(np.abs(few.canonical_correlations_ - 1).max()))
    return Check(worst, 1e-7, "largest difference", "closed forms")


@evidence(
    "canonical-correlation-analysis",
    claim="Correlations and projections equal scikit-learn's up to scale",
    against="scikit-learn CCA",
)
def same_cca() -> Check:
    from sklearn import cross_decomposition
    from sklearn.datasets import load_linnerud

    from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

    worst = 0.0
    for X, Y in (load_linnerud(return_X_y=True), _tables()):
        ours, peer = (
            CanonicalCorrelationAnalysis().fit(X, Y),
            cross_decomposition.CCA(3, tol=1e-14, max_iter=100_000).fit(X, Y),
        )
        for mine, other in zip(ours.transform(X, Y), peer.transform(X, Y), strict=True):
            match = np.corrcoef(mine.T, other.T)[:3, 3:]
            worst = largest(worst, float(np.abs(np.abs(np.diag(match)) - 1).max()))
        a, b = peer.transform(X, Y)
        known = np.array([np.corrcoef(a[:, j], b[:, j])[0, 1] for j in range(3)])
        worst = largest(worst, float(np.abs(ours.canonical_correlations_ - known).max()))
    # The peer's power iterations stop by squared steps of 1e-14.
    return Check(worst, 1e-6, "largest difference", "scikit-learn")
