"""What PCA merges and flattens, and its components of digits: closed forms, controls, and the claims themselves."""

from __future__ import annotations

import tempfile

import numpy as np
from scipy.special import ndtr

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, fault, largest


@evidence(
    "pca-limits",
    claim="Areas under the ROC curve are 1/2 along the first component and Φ(δ/√2) along LDA's; a short spread turns PCA round",
    against="closed form",
)
def merged_classes() -> Check:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from fivefold.demos.unsupervised.pca_limits import area, fisher_direction, two_classes
    from fivefold.models.unsupervised import PCA

    n, worst = 2000, 0.0
    for distance, spread, along in ((2.0, 5.0, 0), (2.0, 0.5, 1)):
        X, y = two_classes(n, distance, spread, Streams(12).numpy("areas", int(spread)))
        known = float(ndtr(distance / np.sqrt(2)))
        w = fisher_direction(X, y)
        peer = LinearDiscriminantAnalysis().fit(X, y).coef_[0]
        worst = largest(worst, 1e3 * (1 - abs(float(w @ peer)) / float(np.linalg.norm(peer))))
        # Four standard errors of the rank statistic, at most 1 / sqrt(4 n); the found direction turns with the same chance.
        error = 4 / np.sqrt(4 * n)
        worst = largest(worst, abs(area(X @ w, y) - known) / error)
        first = PCA(1).fit(X).components_[0]
        worst = largest(
            worst, abs(area(X @ first, y) - (known if along else 0.5)) / error, fault(not abs(first[along]) >= 0.99)
        )
        means = [X[y == c].mean(axis=0) for c in (0, 1)]
        wanted = np.array([[0.0, -distance / 2], [0.0, distance / 2]])
        worst = largest(
            worst, float((~(np.abs(np.array(means) - wanted) <= 4 * np.array([spread, 1.0]) / np.sqrt(n))).any()) * 2
        )
        worst = largest(worst, float(np.abs(X[y == 0].std(axis=0) / [spread, 1.0] - 1).max()) / (4 / np.sqrt(2 * n)))
    return Check(worst, 1.0, "largest deviation in units of its bound", "closed form")


@evidence(
    "pca-limits",
    claim="PCA maps far rows of an S-shaped sheet beside one another; LLE does not, and neither does PCA of a flat sheet",
    against="places on the sheet",
)
def flattened() -> Check:
    from fivefold.demos.unsupervised.pca_limits import PCALimitsDemo, false_neighbors, sheet

    with tempfile.TemporaryDirectory() as folder:
        numbers = PCALimitsDemo().run(seed=1, out=folder, quick=True).numbers
    curve, place = sheet(300, 5.0, True, Streams(12).numpy("sheet"))
    t, across = place.T
    # The S: two circles of radius one around (0, y, -1) and (0, y, 1), run through at speed one.
    center = np.where(t > 0, -1.0, 1.0)
    worst = float(np.abs(curve[:, 0] ** 2 + (curve[:, 2] - center) ** 2 - 1).max())
    worst = largest(
        worst,
        float(np.abs(curve[:, 1] - across).max()),
        float(not np.abs(t).max() <= 1.5 * np.pi or not across.max() <= 5),
    )
    line = np.arange(6.0)[:, None]
    worst = largest(
        worst, abs(false_neighbors(line, line, 2) - 2 / 12)
    )  # the two ends have one neighbor two steps away
    if worst > 1e-12 or numbers["false neighbors, LLE"] > 0.02 or numbers["false neighbors, PCA of a flat sheet"] > 0.0:
        return Check(0.0, 0.1, "share of false neighbors; a control failed", "places on the sheet", at_least=True)
    # Beyond the quarter turns the height of the S runs back: two of its six quarters lie on others.
    return Check(numbers["false neighbors, PCA"], 0.1, "share of false neighbors", "places on the sheet", at_least=True)


@evidence(
    "eigenfaces",
    claim="Numbers are those of the singular values; components weigh more pixels than parts, but not with one of each",
    against="numpy SVD",
)
def whole_digits() -> Check:
    from fivefold.demos.unsupervised.eigenfaces import EigenfacesDemo, wholeness

    worst = float(np.abs(wholeness(np.array([[1.0, -1, 1, -1], [2, 0, 0, 0], [3, 3, 0, 0]])) - [1, 0.25, 0.5]).max())
    demo = EigenfacesDemo()
    X = demo.pictures(True).reshape(500, -1)
    with tempfile.TemporaryDirectory() as folder:
        numbers = demo.run(out=folder, quick=True).numbers
        one = EigenfacesDemo(n_components=1).run(out=folder, quick=True).numbers
    U, s, V = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    worst = largest(worst, abs(numbers["share of variance kept"] - (s[:30] ** 2).sum() / (s**2).sum()))
    worst = largest(worst, abs(numbers["error of PCA"] - (s[30:] ** 2).sum() / X.size))
    worst = largest(worst, abs(numbers["pixels in a component"] - wholeness(V[:30]).mean()))
    worst = largest(
        worst, abs(numbers["negative entries, parts"]), float(X.min() != 0 or X.max() != 1 or len(X) != 500)
    )
    # One part alone is the first singular vector of the pictures themselves, a whole digit (NMF stops at 1e-3).
    perron = np.linalg.svd(X, full_matrices=False)[2][:1]
    worst = largest(worst, float(not abs(one["pixels in a part of NMF"] - wholeness(perron)[0]) <= 0.01))
    worst = largest(worst, float(not one["pixels in a part of NMF"] >= one["pixels in a component"] / 1.5))
    worst = largest(worst, float(not numbers["pixels in a component"] >= 1.5 * numbers["pixels in a part of NMF"]))
    worst = largest(worst, float(not 0.2 < numbers["negative entries, components"] < 0.8))
    worst = largest(worst, float(not numbers["error of NMF"] >= numbers["error of PCA"]))
    return Check(worst, 1e-10, "largest difference", "numpy SVD")
