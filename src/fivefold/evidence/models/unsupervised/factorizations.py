"""Singular values and latent semantic analysis: closed forms, optimal truncation, scikit-learn."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


def _matrix(n: int, d: int, name: str, scale: float = 1.0) -> np.ndarray:
    return scale * Streams(8).numpy(name).normal(size=(n, d))


@evidence(
    "singular-value-decomposition",
    claim="Real and complex matrices: factors rebuild A, are orthonormal and equal NumPy's up to a phase",
    against="numpy.linalg.svd",
)
def same_as_numpy() -> Check:
    from fivefold.models.unsupervised.svd import jacobi_svd

    worst = 0.0
    for m, n in ((1, 1), (4, 4), (9, 5), (5, 9), (30, 1), (1, 7)):
        for factor in (1.0, 1e8, 1e-150):
            A = _matrix(m, n, f"{m}x{n}", factor)
            for given in (A, A + 1j * _matrix(m, n, f"{m}x{n}i", factor)):
                U, s, Vh = jacobi_svd(given)
                u, known, vh = np.linalg.svd(given, full_matrices=False)
                r = min(m, n)
                worst = largest(worst, float(np.abs(s / known - 1).max()))
                worst = largest(worst, float(np.abs((U * s) @ Vh - given).max() / known[0]))
                worst = largest(worst, float(np.abs(U.conj().T @ U - np.eye(r)).max()))
                worst = largest(worst, float(np.abs(Vh @ Vh.conj().T - np.eye(r)).max()))
                # One phase a pair turns their vectors into ours.
                worst = largest(worst, float(np.abs(np.abs(np.einsum("ij,ij->i", Vh, vh.conj())) - 1).max()))
                peaks = Vh[np.arange(r), np.abs(Vh).argmax(axis=1)]
                worst = largest(worst, float(np.abs(peaks - np.abs(peaks)).max()))
    rank_one = jacobi_svd(np.ones((4, 3)))
    worst = largest(worst, abs(rank_one[1][0] - np.sqrt(12)), float(rank_one[1][1:].max()))
    worst = largest(worst, float(np.abs(rank_one[0].T @ rank_one[0] - np.eye(3)).max()))
    zero = jacobi_svd(np.zeros((3, 2)))
    worst = largest(worst, float(zero[1].max()), float(np.abs(zero[0].T @ zero[0] - np.eye(2)).max()))
    return Check(worst, 1e-12, "largest deviation", "numpy.linalg.svd")


@evidence(
    "singular-value-decomposition",
    claim="Singular values are the roots of the eigenvalues of A'A, not the eigenvalues that the source prints",
    against="quadratic formula",
)
def roots_of_eigenvalues() -> Check:
    from fivefold.models.unsupervised import TruncatedSVD

    A = np.array([[3.0, 0.0], [4.0, 5.0], [1.0, -2.0]])
    (a, b), (_, c) = A.T @ A
    root = np.sqrt((a - c) ** 2 / 4 + b**2)
    values = np.array([(a + c) / 2 + root, (a + c) / 2 - root])
    first = np.array([b, values[0] - a]) / np.hypot(b, values[0] - a)
    vectors = np.array([first, [-first[1], first[0]]])
    vectors *= np.sign(vectors[[0, 1], np.abs(vectors).argmax(axis=1)])[:, None]
    worst = 0.0
    for algorithm in ("auto", "full", "jacobi", "randomized"):
        model = TruncatedSVD(2, algorithm=algorithm, random_state=0)
        z = model.fit_transform(A)
        variance = (A @ vectors.T).var(axis=0)
        known = {
            "singular_values_": np.sqrt(values),
            "components_": vectors,
            "left_singular_vectors_": A @ vectors.T / np.sqrt(values),
            "explained_variance_": variance,
            "explained_variance_ratio_": variance / A.var(axis=0).sum(),
        }
        worst = largest(worst, *(float(np.abs(getattr(model, name) - value).max()) for name, value in known.items()))
        worst = largest(worst, float(np.abs(z - A @ vectors.T).max()), float(np.abs(model.transform(A) - z).max()))
        worst = largest(worst, float(np.abs(model.inverse_transform(z) - A).max()))
    return Check(worst, 1e-12, "max |value - formula|", "quadratic formula")


@evidence(
    "singular-value-decomposition",
    claim="Small singular values of a graded matrix keep their digits",
    against="exact values",
)
def graded() -> Check:
    from fivefold.models.unsupervised.svd import jacobi_svd

    # A rotation of orthogonal columns whose lengths are powers of ten: the lengths are the singular values.
    Q, _ = np.linalg.qr(_matrix(12, 6, "graded"))
    lengths = 10.0 ** -np.arange(0, 18, 3)
    s = jacobi_svd(Q * lengths)[1]
    # Rounding of the six columns leaves each length a few units of its last digits, times the dimension.
    return Check(float(np.abs(s / lengths - 1).max()), 1e-13, "largest relative error", "exact values")


@evidence(
    "singular-value-decomposition",
    claim="Truncation has the least error of its rank: the discarded squares; no perturbation does better",
    against="Eckart-Young theorem",
)
def optimal_truncation() -> Check:
    from fivefold.models.unsupervised import TruncatedSVD

    X = _matrix(40, 9, "truncation") * np.geomspace(5, 0.5, 9) + 1.0
    s = np.linalg.svd(X, compute_uv=False)
    generator = Streams(8).numpy("perturb")
    worst, total = 0.0, float((X**2).sum())
    for k in (1, 3, 8, 9):
        for algorithm in ("full", "jacobi"):
            model = TruncatedSVD(k, algorithm=algorithm).fit(X)
            error = ((X - model.inverse_transform(model.transform(X))) ** 2).sum()
            worst = largest(worst, abs(error - (s[k:] ** 2).sum()) / total)
            for size in (1e-3, 1e-1):
                basis, _ = np.linalg.qr((model.components_ + size * generator.normal(size=(k, 9))).T)
                other = ((X - X @ basis @ basis.T) ** 2).sum()
                worst = largest(worst, (error - other) / total)
    return Check(worst, 1e-13, "largest violation", "Eckart-Young theorem")


@evidence(
    "singular-value-decomposition",
    claim="Dense and sparse results equal scikit-learn's; the automatic choice and defaults are the stated ones",
    against="scikit-learn TruncatedSVD",
)
def same_as_scikit_learn() -> Check:
    from scipy import sparse
    from sklearn.datasets import load_digits
    from sklearn.decomposition import TruncatedSVD as Peer

    from fivefold.models.unsupervised import TruncatedSVD

    X = load_digits().data[:400]
    worst = 0.0
    peer = Peer(5, algorithm="arpack", random_state=0).fit(X)
    for given in (X, sparse.csr_array(X), sparse.csc_array(X)):
        ours = TruncatedSVD(5, random_state=0).fit(given)
        turn = np.sign((ours.components_ * peer.components_).sum(axis=1))[:, None]
        for name in ("singular_values_", "explained_variance_", "explained_variance_ratio_"):
            worst = largest(worst, float(np.abs(getattr(ours, name) / getattr(peer, name) - 1).max()))
        worst = largest(worst, float(np.abs(ours.components_ - turn * peer.components_).max()))
    wide = _matrix(60, 501, "wide")
    for k, name in ((5, "randomized"), (6, "full")):
        auto = TruncatedSVD(k, random_state=1).fit(wide)
        same = TruncatedSVD(k, algorithm=name, random_state=1).fit(wide)
        worst = largest(worst, float(not np.array_equal(auto.components_, same.components_)))
    stated = {"n_components": 2, "algorithm": "auto", "n_iter": 7, "random_state": None}
    worst = largest(worst, float(TruncatedSVD().get_params() != stated))
    # 15 half steps shrink the error by (sigma_16 / sigma_5) ** 15 = 1e-5 of an angle; its square meets the values.
    return Check(worst, 1e-4, "largest difference", "scikit-learn TruncatedSVD")


@evidence(
    "latent-semantic-analysis",
    claim="Weights by hand: idf, sublinear counts, norm, smoothing, terms of no and of every document",
    against="definition",
)
def weights_by_hand() -> Check:
    from fivefold.models.unsupervised import LatentSemanticAnalysis

    counts = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 0.0, 3.0, 0.0], [4.0, 0.0, 0.0, 0.0]])
    holding = np.array([3, 1, 1, 0])
    worst = 0.0
    for smooth in (True, False):
        for sublinear in (True, False):
            for norm in ("l2", "none"):
                model = LatentSemanticAnalysis(2, sublinear_tf=sublinear, smooth_idf=smooth, norm=norm).fit(counts)
                if smooth:
                    idf = 1 + np.log(4 / (1 + holding))
                else:
                    idf = np.array([1 + np.log(3 / 3), 1 + np.log(3), 1 + np.log(3), 0.0])
                tf = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) if sublinear else counts
                known = tf * idf
                if norm == "l2":
                    known /= np.sqrt((known**2).sum(axis=1, keepdims=True))
                worst = largest(worst, float(np.abs(model.idf_ - idf).max()))
                worst = largest(worst, float(np.abs(model.weights(counts).toarray() - known).max()))
                z = model.transform(counts)
                worst = largest(worst, float(np.abs(z - known @ model.components_.T).max()))
                worst = largest(
                    worst, float(np.abs(z @ z.T - known @ model.components_.T @ model.components_ @ known.T).max())
                )
                worst = largest(worst, float(np.abs(model.singular_values_ - np.linalg.svd(known)[1][:2]).max()))
    empty = model.transform(np.zeros((1, 4)))
    defaults = LatentSemanticAnalysis().get_params()
    stated = (defaults["n_components"], defaults["norm"], defaults["sublinear_tf"], defaults["smooth_idf"])
    worst = largest(worst, float(np.abs(empty).max()), float(stated != (2, "l2", False, True)))
    return Check(worst, 1e-12, "largest difference", "definition")


@evidence(
    "latent-semantic-analysis",
    claim="Equals scikit-learn's TruncatedSVD on its tf-idf weights",
    against="scikit-learn TfidfVectorizer and TruncatedSVD",
)
def same_as_tfidf_svd() -> Check:
    from sklearn.decomposition import TruncatedSVD as Peer
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    from fivefold.models.unsupervised import LatentSemanticAnalysis

    generator = Streams(6).numpy("documents")
    words = [f"word{i}" for i in range(60)]
    documents = [" ".join(generator.choice(words, size=30, p=_zipf(60))) for _ in range(120)]
    counts = CountVectorizer().fit_transform(documents)
    worst = 0.0
    for sublinear in (False, True):
        peer = Peer(4, algorithm="arpack", random_state=0)
        known = peer.fit_transform(TfidfVectorizer(sublinear_tf=sublinear).fit_transform(documents))
        ours = LatentSemanticAnalysis(4, sublinear_tf=sublinear, algorithm="full").fit(counts)
        turn = np.sign((ours.components_ * peer.components_).sum(axis=1))
        worst = largest(worst, float(np.abs(ours.transform(counts) - known * turn).max()))
        worst = largest(worst, float(np.abs(ours.singular_values_ - peer.singular_values_).max()))
    return Check(worst, 1e-9, "largest difference", "scikit-learn TfidfVectorizer and TruncatedSVD")


def _zipf(count: int) -> np.ndarray:
    share = 1.0 / np.arange(1, count + 1)
    return share / share.sum()


@evidence(
    "latent-semantic-analysis",
    claim="Topics group planted vocabularies, though documents share no more than one common word",
    against="construction",
)
def planted_vocabularies() -> Check:
    from fivefold.models.unsupervised import LatentSemanticAnalysis

    generator = Streams(6).numpy("planted")
    topic = np.arange(90) % 3
    counts = np.zeros((90, 31))
    for i in range(90):
        own = generator.choice(10, size=5, replace=False) + 10 * topic[i]
        counts[i, own] = generator.integers(1, 4, size=5)
        counts[i, 30] = 5  # a word of every document
    model = LatentSemanticAnalysis(3, algorithm="full").fit(counts)
    z = model.transform(counts)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    nearest = (z @ z.T - 2 * np.eye(90)).argmax(axis=1)
    wrong = int(np.sum(topic[nearest] != topic))
    terms = model.top_terms([f"t{j // 10}" if j < 30 else "common" for j in range(31)], 4)
    wrong += sum(len(t) != 4 for t in terms)
    return Check(wrong, 0, "documents whose nearest is of another topic", "construction")
