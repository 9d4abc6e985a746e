"""Edges of unsupervised models: stops and ties, empty and constant rows, tables beyond the squares of a float."""

from __future__ import annotations

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence, largest


@evidence(
    "hierarchical-agglomerative-clustering",
    claim="Distances of huge, tiny and equal rows are those of scaled ones; a height cut takes inverted merges together",
    against="scipy pdist, an equilateral triangle",
)
def distances_and_inversions() -> Check:
    from scipy.spatial.distance import pdist

    from fivefold.models.unsupervised import AgglomerativeClustering

    X = Streams(4).numpy("heights").normal(size=(7, 3))
    X[2, 1] = 0.0
    worst = 0.0
    for metric, name in (("euclidean", "euclidean"), ("manhattan", "cityblock"), ("cosine", "cosine")):
        model, known = AgglomerativeClustering(metric=metric, linkage="average"), pdist(X, name)
        for scale in (1.0, 1e200, 1e-200):
            found = model._distances(scale * X)
            worst = largest(worst, 1e3 * (found.shape != known.shape))
            expected = known if metric == "cosine" else scale * known
            worst = largest(worst, float(np.abs(found[:21] / expected - 1).max()))
    worst = largest(worst, float(np.abs(AgglomerativeClustering()._distances(np.zeros((4, 2)))).max()))
    # The third corner is nearer to the middle of the other two, √3/2, than these to each other, 1.
    triangle = AgglomerativeClustering(linkage="centroid").fit([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    worst = largest(worst, abs(triangle.distances_[1] - np.sqrt(0.75)))
    wrong = len(set(triangle.cut(height=0.95))) != 3 or len(set(triangle.cut(height=1.01))) != 1
    wrong += AgglomerativeClustering(linkage="single").fit(X).cut(height=0.0).tolist() != list(range(7))
    return Check(largest(worst, float(wrong)), 1e-12, "relative difference", "scipy, by hand")


@evidence(
    "latent-semantic-analysis",
    claim="Weights of parts of counts, of zeros that are stored and of rows of zeros; the ten largest terms unless told",
    against="the formulas written out",
)
def weights_and_terms() -> Check:
    import scipy.sparse as sp

    from fivefold.models.unsupervised import LatentSemanticAnalysis

    rng = Streams(3).numpy("lsa-edges")
    table = rng.integers(0, 4, size=(9, 13)) / 2.0 + np.eye(9, 13)
    counts = sp.csr_array(table)
    stored = sp.csr_array(table)
    stored.data[[0, 5]] = 0.0
    row = slice(stored.indptr[4], stored.indptr[5])
    stored.data[row] = 0.0
    worst = 0.0
    for sublinear in (False, True):
        for norm in ("l2", "none"):
            model = LatentSemanticAnalysis(2, sublinear_tf=sublinear, norm=norm).fit(counts)
            for asked in (counts, stored):
                A = asked.toarray()
                if sublinear:
                    A = np.where(A > 0, 1 + np.log(np.where(A > 0, A, 1)), 0)
                A = A * model.idf_
                length = np.linalg.norm(A, axis=1, keepdims=True)
                known = A / np.where(length == 0, 1, length) if norm == "l2" else A
                worst = largest(worst, float(np.abs(model.weights(asked).toarray() - known).max()))
    # A document of half a word that is everywhere is shorter than one, yet of length one when weighted.
    words = sp.csr_array([[0.25, 0.0], [0.25, 1.0]])
    short = LatentSemanticAnalysis(1).fit(words).weights(words[[0]])
    worst = largest(worst, abs(short.toarray()[0, 0] - 1.0))
    names = [f"t{j}" for j in range(13)]
    order = np.argsort(-np.abs(model.components_), axis=1)
    for count, found in ((10, model.top_terms(names)), (1, model.top_terms(names, 1)), (3, model.top_terms(names, 3))):
        worst = largest(worst, float(found != [[names[j] for j in row[:count]] for row in order]))
    return Check(worst, 1e-14, "largest difference", "written out")


@evidence("latent-dirichlet-allocation", claim="The ten largest terms unless told, one is enough", against="a sort")
def terms_of_topics() -> Check:
    from fivefold.base.errors import InputError
    from fivefold.models.unsupervised import LatentDirichletAllocation

    X = Streams(3).numpy("lda-terms").integers(0, 5, size=(20, 13)).astype(float)
    model = LatentDirichletAllocation(2, max_iter=2, random_state=0).fit(X)
    names = [f"t{j}" for j in range(13)]
    order = np.argsort(-model.components_, axis=1)
    wrong = 0
    for count, found in ((10, model.top_terms(names)), (1, model.top_terms(names, 1)), (3, model.top_terms(names, 3))):
        wrong += found != [[names[j] for j in row[:count]] for row in order]
    try:
        model.top_terms(names, 0)
        wrong += 1
    except InputError as error:
        wrong += "count" not in str(error)
    return Check(wrong, 0, "lists that differ", "a sort")


@evidence(
    "gaussian-anomaly-detector",
    claim="Constant columns have no density, wherever they lie; two rows are enough; rows without weight set no threshold",
    against="the definition",
)
def constant_columns() -> Check:
    from fivefold.base.errors import DataError
    from fivefold.models.unsupervised import GaussianAnomalyDetector

    rng, wrong = Streams(8).numpy("constant"), 0
    for level in (0.0, 0.1, 1e8 / 3, -7e5 / 9, 1e-8 / 3):
        for n in (7, 11, 101, 1001):
            X = np.c_[rng.normal(size=n), np.full(n, level)]
            for weight in (None, rng.uniform(0.1, 1.0, n)):
                try:
                    GaussianAnomalyDetector().fit(X, sample_weight=weight)
                    wrong += 1
                except DataError as error:
                    wrong += "Column 1 of X is constant" not in str(error)
    wrong += not abs(GaussianAnomalyDetector().fit([[1.0], [3.0]]).location_[0] - 2.0) <= 1e-12
    X = rng.normal(size=(40, 2))
    weight = np.arange(40) % 3 > 0
    X[~weight] *= 50
    some = GaussianAnomalyDetector().fit(X, sample_weight=weight.astype(float))
    wrong += not abs(some.offset_ - GaussianAnomalyDetector().fit(X[weight]).offset_) <= 1e-10
    return Check(wrong, 0, "violations", "the definition")


@evidence(
    "one-class-svm",
    claim="A row on the edge, f = 0, is no outlier; one beyond it is",
    against="the rule of Schölkopf et al.",
)
def edge_is_inside() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    X, wrong = Streams(5).numpy("edge").normal(size=(30, 2)), 0
    model = OneClassSVM(nu=0.3).fit(X)
    for i in range(5):
        model.offset_ = float(model.score_samples(X[i : i + 1])[0])
        wrong += model.decision_function(X[i : i + 1])[0] != 0 or model.predict(X[i : i + 1])[0] != 1
        model.offset_ = float(np.nextafter(model.offset_, np.inf))
        wrong += model.predict(X[i : i + 1])[0] != -1
    return Check(wrong, 0, "wrong labels", "the rule")


@evidence(
    "independent-component-analysis",
    claim="Steps, turns and stops of both algorithms are those of the fixed-point iteration, one by one",
    against="the iteration written out",
)
def steps_of_ica() -> Check:
    from fivefold.models.unsupervised import ica

    rng = Streams(9).numpy("ica-steps")
    Z = rng.laplace(size=(300, 3))
    Z -= Z.mean(axis=0)
    Z = Z @ np.linalg.inv(np.linalg.cholesky(Z.T @ Z / 300)).T
    start = rng.normal(size=(3, 3))

    def turned(w: np.ndarray) -> np.ndarray:
        u = Z @ w
        return (Z * np.tanh(u)[:, None]).mean(axis=0) - (1 - np.tanh(u) ** 2).mean() * w

    def parallel(steps: int) -> tuple[np.ndarray, float]:
        values, vectors = np.linalg.eigh(start @ start.T)
        W, gap = vectors @ np.diag(values**-0.5) @ vectors.T @ start, 0.0
        for _ in range(steps):
            new = np.array([turned(w) for w in W])
            values, vectors = np.linalg.eigh(new @ new.T)
            new = vectors @ np.diag(values**-0.5) @ vectors.T @ new
            gap, W = max(abs(abs(float(a @ b)) - 1) for a, b in zip(new, W)), new
        return W, gap

    def deflation(steps: int) -> tuple[np.ndarray, float]:
        done: list[np.ndarray] = []
        gaps = []
        for row in start:
            w = row - sum((row @ v) * v for v in done)
            w, gap = w / np.sqrt(w @ w), 0.0
            for _ in range(steps):
                new = turned(w)
                new = new - sum((new @ v) * v for v in done)
                new = new / np.sqrt(new @ new)
                gap, w = abs(abs(float(new @ w)) - 1), new
            done.append(w)
            gaps.append(gap)
        return np.array(done), max(gaps)

    worst = 0.0
    for ours, known in ((ica._parallel, parallel), (ica._deflation, deflation)):
        for steps in (1, 2, 5):
            W, count, gap = ours(Z, start, "logcosh", steps, 0.0)
            expected, turn = known(steps)
            worst = largest(worst, float(np.abs(W - expected).max()), abs(gap - turn), abs(count - steps))
        # One row stops by its own turn; a turn equal to the tolerance is not below it.
        one = (start[:1],) if ours is ica._deflation else (start,)
        turns = [ours(Z, *one, "logcosh", steps, 0.0)[2] for steps in range(1, 7)]
        for place, turn in enumerate(turns):
            below = next((i for i, t in enumerate(turns) if t < 1.0000001 * turn), place)
            worst = largest(worst, abs(ours(Z, *one, "logcosh", 6, 1.0000001 * turn)[1] - below - 1))
            strict = next((i for i, t in enumerate(turns) if t < turn), 5)
            worst = largest(worst, abs(ours(Z, *one, "logcosh", 6, turn)[1] - strict - 1))
    return Check(worst, 1e-9, "largest difference", "written out")


@evidence(
    "probabilistic-lsa",
    claim="The climb ends at the first step that gains no more than tol a word, not one later",
    against="the path of a run without a tolerance",
)
def gain_at_tolerance() -> Check:
    from fivefold.models.unsupervised import ProbabilisticLSA

    X = Streams(2).numpy("plsa-stop").integers(0, 4, size=(8, 6)).astype(float)
    X[0, 0] += 128 - X.sum()  # a power of two: gains by word are exact
    path = ProbabilisticLSA(2, tol=0.0, max_iter=12, random_state=1).fit(X).loglik_path_
    wrong = 0
    for gain in np.diff(path):
        for tol in (gain / 128, np.nextafter(gain / 128, 0)):
            known = next((t for t, g in enumerate(np.diff(path), 1) if g <= tol * 128), None)
            if known is not None and tol > 0:
                wrong += ProbabilisticLSA(2, tol=tol, max_iter=12, random_state=1).fit(X).n_iter_ != known
    return Check(wrong, 0, "runs that stop otherwise", "the path")


@evidence(
    "kernel-pca",
    claim="One component is the first of several, equal rows have one at zero; means are those of the kernel",
    against="the definition",
)
def few_components() -> Check:
    from fivefold.models.unsupervised import KernelPCA

    X = Streams(7).numpy("few-components").normal(size=(20, 3))
    several, one = (KernelPCA(k, kernel="rbf", gamma=0.4).fit(X) for k in (3, 1))
    worst = float(np.abs(several.transform(X)[:, :1] - one.transform(X)).max())
    worst = largest(worst, abs(several.eigenvalues_[0] - one.eigenvalues_[0]), float(len(one.eigenvalues_) != 1))
    gaps = ((X[:, None] - X) ** 2).sum(axis=2)
    worst = largest(worst, float(np.abs(one.column_means_ - np.exp(-0.4 * gaps).mean(axis=0)).max()))
    peaks = several.eigenvectors_[np.abs(several.eigenvectors_).argmax(axis=0), np.arange(3)]
    worst = largest(worst, float(not (peaks > 0).all()))
    for rows in (np.ones((5, 2)), np.zeros((5, 2))):
        flat = KernelPCA(2).fit(rows)
        worst = largest(
            worst, float(flat.transform(rows).shape != (5, 1)), float(np.abs(flat.transform(X[:, :2])).max())
        )
        worst = largest(worst, float(flat.eigenvalues_.tolist() != [0.0]))
    return Check(worst, 1e-12, "largest difference", "the definition")


@evidence(
    "one-class-svm",
    claim="Where all rows are at their bound from the start one step is counted",
    against="the contract",
)
def least_steps() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    X = Streams(5).numpy("least-steps").normal(size=(12, 2))
    return Check(abs(OneClassSVM(nu=1.0).fit(X).n_iter_ - 1), 0, "steps", "the contract")


@evidence(
    "independent-component-analysis",
    claim="A fit warns where its last turn is not below the tolerance; a constant table has no sources",
    against="the turns of the iteration, the contract",
)
def warns_of_turns() -> Check:
    import warnings

    from fivefold.base.errors import DataError
    from fivefold.models.unsupervised import FastICA, ica

    rng, wrong = Streams(9).numpy("ica-warns"), 0
    X, start = rng.laplace(size=(200, 2)) @ rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
    first = FastICA(w_init=start).fit(X)
    Z = (X - first.mean_) @ first.whitening_.T
    turn = ica._parallel(Z, start, "logcosh", 2, 0.0)[2]
    for tol, warns in ((turn, True), (turn / 2, True), (1.01 * turn, False)):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            FastICA(w_init=start, max_iter=2, tol=tol).fit(X)
        wrong += ["max_iter=2" in str(w.message) for w in seen] != [True] * warns
    try:
        FastICA().fit(np.ones((6, 2)))
        wrong += 1
    except DataError as error:
        wrong += "varies in 0 directions only (n_samples = 6), so 1 sources" not in str(error)
    return Check(wrong, 0, "violations", "the contract")


@evidence(
    "probabilistic-lsa",
    claim="A topic without words keeps its terms, scarce words count as many do, unknown ones not; unsettled fits warn",
    against="invariance, the contract",
)
def words_of_topics() -> Check:
    import warnings

    from fivefold.models.unsupervised import ProbabilisticLSA

    X = Streams(2).numpy("plsa-words").integers(0, 4, size=(8, 5)).astype(float)
    X[:, 4] = 0.0
    start = np.array([[0.5, 0.2, 0.2, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
    model = ProbabilisticLSA(3, init=start, tol=0.0, max_iter=6).fit(X)
    scarce = ProbabilisticLSA(3, init=start, tol=0.0, max_iter=6).fit(X / 1024)
    worst = float(np.abs(model.components_[2] - start[2]).max())
    worst = largest(worst, float(np.abs(model.components_ - scarce.components_).max()))
    plain = ProbabilisticLSA(2, init=start[:2], tol=0.0, max_iter=6).fit(X)
    worst = largest(worst, float(np.abs(plain.components_ - model.components_[:2]).max()))
    odd = X.copy()
    odd[:3, 4] = 2.0
    worst = largest(worst, float(np.abs(plain.transform(odd) - plain.transform(X)).max()))
    for steps, tol, warns in ((2, 1e-9, True), (2, 0.0, False), (500, 1e-2, False)):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            ProbabilisticLSA(2, init=start[:2], max_iter=steps, tol=tol).fit(X)
        worst = largest(worst, float([f"max_iter={steps}" in str(w.message) for w in seen] != [True] * warns))
    return Check(worst, 1e-12, "largest difference", "invariance")


class _FirstColumn:
    """A detector whose anomaly score is the first column."""

    def get_params(self, deep: bool = True) -> dict[str, float]:
        return {}

    def fit(self, X: np.ndarray) -> _FirstColumn:
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        return -X[:, 0]


@evidence(
    "anomaly-detection-protocol",
    claim="A score at the threshold is an alarm, in the test and in predictions; no part is left without a class",
    against="by hand",
)
def at_the_threshold() -> Check:
    from fivefold.base.errors import DataError, InputError
    from fivefold.models.unsupervised.anomaly_protocol import AnomalyProtocol, AnomalySplit, anomaly_split

    # Every threshold in (0.2, 0.8] costs nothing in development; 0.5 is the nearest to equal costs.
    X = np.array([[0.0], [0.1], [0.2], [0.8], [0.1], [0.5], [0.9]])
    odd = np.array([False, False, False, True, False, False, True])
    split = AnomalySplit(np.arange(2), np.arange(2, 4), np.arange(4, 7))
    report = AnomalyProtocol({"first": _FirstColumn()}).run(X, odd, split)
    wrong = report.threshold != 0.5 or (report.false_alarms, report.missing) != (1, 0)
    wrong += report.predict(np.array([[0.49], [0.5], [0.51]])).tolist() != [1, -1, -1]
    # Shares that leave the test without a normal row, 3 of 3, or without an abnormal one, 2 of 2.
    for normal, abnormal in ((7, 20), (400, 2)):
        try:
            anomaly_split(np.arange(normal + abnormal) >= normal, train=0.6, dev=0.9)
            wrong += 1
        except DataError as error:
            wrong += "too few" not in str(error)
    for name in ("train", "dev"):
        try:
            anomaly_split(odd, **{name: 2.0})
            wrong += 1
        except InputError as error:
            wrong += f"`{name}` is 2.0; give a number > 0 and < 1" not in str(error)
    return Check(int(wrong), 0, "violations", "by hand")


@evidence("msp-open-set-detection", claim="Classes of probability zero add nothing to the entropy", against="by hand")
def entropy_of_zeros() -> Check:
    from sklearn.neighbors import KNeighborsClassifier

    from fivefold.models.unsupervised import OpenSetClassifier

    X, y = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]]), np.array([0, 0, 1, 2, 2])
    model = OpenSetClassifier(KNeighborsClassifier(2), confidence="entropy").fit(X, y)
    found = model.score_samples([[0.4], [1.6], [10.2]])
    return Check(float(np.abs(found - [0.0, -np.log(2.0), 0.0]).max()), 1e-15, "largest difference", "by hand")
