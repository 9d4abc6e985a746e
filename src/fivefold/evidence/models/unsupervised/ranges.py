"""Ranges of parameters: the ends that belong to them are taken, what lies beyond is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.random import Streams
from fivefold.evidence import Check, evidence
from fivefold.evidence.ranges import CLAIM, range_ends

_TWO = "Two rows are enough"


def _table(n: int = 14) -> np.ndarray:
    """Return counts above zero, (n, 4)."""
    return Streams(3).numpy("ranges").integers(1, 9, size=(n, 4)).astype(np.float64)


@evidence("k-means", claim=CLAIM, against="the documentation")
def k_means() -> Check:
    from fivefold.models.unsupervised import KMeans

    taken = [{"n_clusters": 1}, {"n_clusters": 2, "max_iter": 1, "n_init": 1}, {"n_clusters": 2, "tol": 0.0}]
    refused = [{"n_clusters": 0}, {"max_iter": 0}, {"tol": -1e-9}, {"n_init": 0}]
    return range_ends(KMeans, taken, [{"n_clusters": 2} | case for case in refused], _table())


@evidence("hierarchical-agglomerative-clustering", claim=CLAIM, against="the documentation")
def hierarchical() -> Check:
    from fivefold.models.unsupervised import AgglomerativeClustering

    none: dict[str, Any] = {"n_clusters": None}
    taken = [{"n_clusters": 1}, none | {"distance_threshold": 0.0}]
    return range_ends(
        AgglomerativeClustering, taken, [{"n_clusters": 0}, none | {"distance_threshold": -1e-9}], _table()
    )


@evidence("isolation-forest", claim=CLAIM, against="the documentation")
def isolation_forest() -> Check:
    from fivefold.models.unsupervised import IsolationForest

    taken = [{"n_estimators": 1}, {"max_samples": 2}, {"max_samples": 0.05}, {"max_samples": 1.0}]
    taken += [{"contamination": 0.0}, {"contamination": 0.5}]
    refused = [{"n_estimators": 0}, {"max_samples": 1}, {"max_samples": 0.0}, {"max_samples": 1.5}]
    refused += [{"contamination": 0.6}, {"contamination": -0.1}]
    return range_ends(IsolationForest, [{"n_estimators": 2} | case for case in taken], refused, _table())


@evidence("one-class-svm", claim=CLAIM, against="the documentation")
def one_class() -> Check:
    from fivefold.models.unsupervised import OneClassSVM

    taken = [{"nu": 0.05}, {"nu": 1.0}, {"tol": 0.05}, {"cache_size": 0.05}]
    return range_ends(OneClassSVM, taken, [{"nu": 0.0}, {"nu": 1.5}, {"tol": 0.0}, {"cache_size": 0.0}], _table())


@evidence("kernel-pca", claim=CLAIM, against="the documentation")
def kernel_pca() -> Check:
    from fivefold.models.unsupervised import KernelPCA

    poly: dict[str, Any] = {"n_components": 1, "kernel": "poly"}
    taken = [{"n_components": 1}, poly | {"gamma": 0.05}, poly | {"degree": 0.05}, poly | {"coef0": -5.0}]
    refused = [{"n_components": 0}, poly | {"gamma": 0.0}, poly | {"degree": 0.0}, poly | {"coef0": -np.inf}]
    return range_ends(KernelPCA, taken, refused, _table())


@evidence("latent-dirichlet-allocation", claim=CLAIM, against="the documentation")
def latent_dirichlet() -> Check:
    from fivefold.models.unsupervised import LatentDirichletAllocation

    taken: list[dict[str, Any]] = [{"n_components": 1}, {"max_iter": 1}, {"tol": 0.0}]
    taken += [{"doc_topic_prior": 0.05}, {"topic_word_prior": 0.05}, {"mean_change_tol": 0.0}]
    taken += [{"max_doc_update_iter": 1}, {"learning_decay": 0.55}, {"learning_decay": 1.0}, {"learning_offset": -0.5}]
    refused: list[dict[str, Any]] = [{"n_components": 0}, {"max_iter": 0}, {"tol": -1e-9}]
    refused += [{"doc_topic_prior": 0.0}, {"topic_word_prior": 0.0}, {"mean_change_tol": -1e-9}]
    refused += [{"max_doc_update_iter": 0}, {"learning_decay": 0.5}, {"learning_decay": 1.5}, {"learning_offset": -1.0}]
    few: dict[str, Any] = {"max_iter": 2}
    taken += [{"learning_method": "online", "batch_size": 1}]
    refused += [{"learning_method": "online", "batch_size": 0}]
    whole = range_ends(LatentDirichletAllocation, [few | case for case in taken], refused, _table())
    parts: list[dict[str, Any]] = [few | {"total_samples": 1}, few | {"batch_size": 1}]
    beyond: list[dict[str, Any]] = [few | {"total_samples": 0}, few | {"batch_size": 0}]
    part = range_ends(LatentDirichletAllocation, parts, beyond, _table(), verb="partial_fit")
    return Check(whole.value + part.value, 0, "settings judged otherwise", "the documentation")


@evidence("probabilistic-lsa", claim=CLAIM, against="the documentation")
def probabilistic_lsa() -> Check:
    from fivefold.models.unsupervised import ProbabilisticLSA

    taken = [{"n_components": 1}, {"n_components": 2, "max_iter": 1}, {"n_components": 2, "tol": 0.0}]
    return range_ends(ProbabilisticLSA, taken, [{"n_components": 0}, {"max_iter": 0}, {"tol": -1e-9}], _table())


@evidence("locally-linear-embedding", claim=CLAIM, against="the documentation")
def lle() -> Check:
    from fivefold.models.unsupervised import LocallyLinearEmbedding

    taken = [{"n_components": 1}, {"n_neighbors": 1}, {"reg": 0.05}]
    return range_ends(LocallyLinearEmbedding, taken, [{"n_components": 0}, {"n_neighbors": 0}, {"reg": 0.0}], _table())


@evidence("latent-semantic-analysis", claim=CLAIM, against="the documentation")
def lsa() -> Check:
    from fivefold.models.unsupervised import LatentSemanticAnalysis

    rough: dict[str, Any] = {"n_components": 1, "algorithm": "randomized"}
    refused = [{"n_components": 0}, rough | {"n_iter": -1}]
    return range_ends(LatentSemanticAnalysis, [{"n_components": 1}, rough | {"n_iter": 0}], refused, _table())


@evidence("singular-value-decomposition", claim=CLAIM, against="the documentation")
def svd() -> Check:
    from fivefold.models.unsupervised import TruncatedSVD

    rough: dict[str, Any] = {"n_components": 1, "algorithm": "randomized"}
    refused = [{"n_components": 0}, rough | {"n_iter": -1}]
    return range_ends(TruncatedSVD, [{"n_components": 1}, rough | {"n_iter": 0}], refused, _table())


@evidence("nmf", claim=CLAIM, against="the documentation")
def nmf() -> Check:
    from fivefold.models.unsupervised import NMF

    taken = [{"n_components": 1}, {"n_components": 1, "max_iter": 1}, {"n_components": 1, "tol": 0.0}]
    return range_ends(NMF, taken, [{"n_components": 0}, {"max_iter": 0}, {"tol": -1e-9}], _table())


@evidence("pca", claim=CLAIM, against="the documentation")
def pca() -> Check:
    from fivefold.models.unsupervised import PCA

    values = (-1, 0.0, 1.0, 1.5)
    return range_ends(
        PCA, [{"n_components": 1}, {"n_components": 0.05}], [{"n_components": value} for value in values], _table()
    )


@evidence("multidimensional-scaling", claim=CLAIM, against="the documentation")
def multidimensional_scaling() -> Check:
    from fivefold.models.unsupervised import ClassicalMDS

    return range_ends(ClassicalMDS, [{"n_components": 1}], [{"n_components": 0}], _table())


@evidence("probabilistic-pca", claim=CLAIM, against="the documentation")
def probabilistic_pca() -> Check:
    from fivefold.models.unsupervised import ProbabilisticPCA

    steps: dict[str, Any] = {"algorithm": "em"}
    taken = [{"n_components": 1}, steps | {"max_iter": 1}, steps | {"max_iter": 20, "tol": 0.0}]
    return range_ends(
        ProbabilisticPCA, taken, [{"n_components": 0}, steps | {"max_iter": 0}, steps | {"tol": -1e-9}], _table()
    )


@evidence("laplacian-eigenmaps", claim=CLAIM, against="the documentation")
def laplacian_eigenmaps() -> Check:
    from fivefold.models.unsupervised import LaplacianEigenmaps

    rbf: dict[str, Any] = {"affinity": "rbf"}
    taken = [rbf | {"n_components": 1}, rbf | {"gamma": 0.05}, rbf | {"n_neighbors": 2}]
    return range_ends(
        LaplacianEigenmaps, taken, [{"n_components": 0}, rbf | {"gamma": 0.0}, {"n_neighbors": 1}], _table()
    )


@evidence("spectral-clustering", claim=CLAIM, against="the documentation")
def spectral_clustering() -> Check:
    from fivefold.models.unsupervised import SpectralClustering

    rbf: dict[str, Any] = {"affinity": "rbf", "n_clusters": 2}
    taken = [{"n_clusters": 1}, rbf | {"gamma": 0.05}, rbf | {"n_init": 1}]
    return range_ends(
        SpectralClustering, taken, [{"n_clusters": 0}, rbf | {"gamma": 0.0}, rbf | {"n_init": 0}], _table()
    )


@evidence("independent-component-analysis", claim=CLAIM, against="the documentation")
def ica() -> Check:
    from fivefold.models.unsupervised import FastICA

    taken = [{"n_components": 1}, {"max_iter": 1}, {"tol": 0.05}]
    return range_ends(FastICA, taken, [{"n_components": 0}, {"max_iter": 0}, {"tol": 0.0}], _table())


@evidence("canonical-correlation-analysis", claim=CLAIM, against="the documentation")
def cca() -> Check:
    from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

    data = _table(), _table()[::-1, :2]
    return range_ends(CanonicalCorrelationAnalysis, [{"n_components": 1}], [{"n_components": 0}], *data)


@evidence("gaussian-anomaly-detector", claim=CLAIM, against="the documentation")
def gaussian_detector() -> Check:
    from fivefold.models.unsupervised import GaussianAnomalyDetector

    taken = [{"reg_covar": 0.0}, {"threshold": -5.0}, {"contamination": 0.0}, {"contamination": 0.5}]
    refused = [{"reg_covar": -1e-9}, {"threshold": -np.inf}, {"contamination": -1e-9}, {"contamination": 0.6}]
    return range_ends(GaussianAnomalyDetector, taken, refused, _table())


@evidence("autoencoder-anomaly-detector", claim=CLAIM, against="the documentation")
def autoencoder_detector() -> Check:
    from fivefold.models.unsupervised import AutoencoderAnomalyDetector

    few: dict[str, Any] = {"max_epochs": 1}
    refused = [few | {"hidden": (0,)}, few | {"contamination": 0.6}]
    return range_ends(
        AutoencoderAnomalyDetector, [few | {"hidden": (1,)}, few | {"contamination": 0.5}], refused, _table()
    )


@evidence("msp-open-set-detection", claim=CLAIM, against="the documentation")
def open_set() -> Check:
    from fivefold.models.unsupervised import OpenSetClassifier

    taken = [{"contamination": 0.0}, {"contamination": 0.95}, {"threshold": -5.0}]
    refused = [{"contamination": -1e-9}, {"contamination": 1.0}, {"contamination": 2.0}, {"threshold": -np.inf}]
    return range_ends(OpenSetClassifier, taken, refused, _table(), np.arange(14) % 2)


@evidence("anomaly-detection-protocol", claim=CLAIM, against="the documentation")
def anomaly_protocol() -> Check:
    from fivefold.models.unsupervised.anomaly_protocol import anomaly_split

    class Split:
        def __init__(self, **setting: float) -> None:
            self.setting = setting

        def fit(self, abnormal: np.ndarray) -> None:
            anomaly_split(abnormal, **self.setting)

    ends = (0.0, 1.0, 2.0)
    refused = [{name: value} for name in ("train", "dev") for value in ends]
    return range_ends(Split, [{"train": 0.05}, {"dev": 0.05}], refused, np.arange(4000) % 4 == 0)


@evidence("t-sne", claim=CLAIM, against="the documentation")
def tsne() -> Check:
    from fivefold.models.unsupervised import TSNE

    few: dict[str, Any] = {"perplexity": 2.0, "max_iter": 2, "exaggeration_iter": 1}
    grid, tree = few | {"method": "fft"}, few | {"method": "barnes-hut"}
    taken = [few | {"n_components": 1}, few | {"perplexity": 1.0}, few | {"early_exaggeration": 1.0}]
    taken += [few | {"learning_rate": 0.05}, {"perplexity": 2.0, "max_iter": 1, "exaggeration_iter": 0}]
    taken += [few | {"n_iter_without_progress": 0}, few | {"min_grad_norm": 0.0}]
    taken += [tree | {"angle": 0.0}, tree | {"angle": 1.0}, grid | {"spacing": 0.05}]
    refused = [few | {"n_components": 0}, {"max_iter": 2, "perplexity": 0.9}, few | {"early_exaggeration": 0.9}]
    refused += [
        few | {"learning_rate": 0.0},
        {"perplexity": 2.0, "max_iter": 0},
        {"perplexity": 2.0, "exaggeration_iter": -1},
    ]
    refused += [few | {"n_iter_without_progress": -1}, few | {"min_grad_norm": -1e-9}]
    refused += [tree | {"angle": -0.1}, tree | {"angle": 1.5}, grid | {"spacing": 0.0}]
    return range_ends(TSNE, taken, refused, _table(40))


@evidence("kernel-pca", claim=_TWO, against="the documentation")
def two_rows_kernel() -> Check:
    from fivefold.models.unsupervised import KernelPCA

    return range_ends(KernelPCA, [{}], [], _table(2))


@evidence("locally-linear-embedding", claim=_TWO, against="the documentation")
def two_rows_lle() -> Check:
    from fivefold.models.unsupervised import LocallyLinearEmbedding

    return range_ends(LocallyLinearEmbedding, [{"n_components": 1, "n_neighbors": 1}], [], _table(2))


@evidence("canonical-correlation-analysis", claim=_TWO, against="the documentation")
def two_rows_cca() -> Check:
    from fivefold.models.unsupervised import CanonicalCorrelationAnalysis

    return range_ends(CanonicalCorrelationAnalysis, [{}], [], _table(2), np.array([1.0, 2.0]))


@evidence("independent-component-analysis", claim=_TWO, against="the documentation")
def two_rows_ica() -> Check:
    from fivefold.models.unsupervised import FastICA

    return range_ends(FastICA, [{}], [], _table(2))


@evidence("autoencoder-anomaly-detector", claim=_TWO, against="the documentation")
def two_rows_autoencoder() -> Check:
    from fivefold.models.unsupervised import AutoencoderAnomalyDetector

    return range_ends(AutoencoderAnomalyDetector, [{"max_epochs": 1}], [], _table(2))


@evidence("hierarchical-agglomerative-clustering", claim=_TWO, against="the documentation")
def two_rows_hierarchical() -> Check:
    from fivefold.models.unsupervised import AgglomerativeClustering

    return range_ends(AgglomerativeClustering, [{}], [], _table(2))


@evidence("multidimensional-scaling", claim=_TWO, against="the documentation")
def two_rows_scaling() -> Check:
    from fivefold.models.unsupervised import ClassicalMDS

    return range_ends(ClassicalMDS, [{"n_components": 1}], [], _table(2))


@evidence("spectral-clustering", claim=_TWO, against="the documentation")
def two_rows_spectral() -> Check:
    from fivefold.models.unsupervised import SpectralClustering

    return range_ends(SpectralClustering, [{"n_clusters": 1}, {"n_clusters": 2}], [], _table(2))
