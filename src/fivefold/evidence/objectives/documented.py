"""Defaults and ranges of losses are those of their documentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fivefold.evidence import Check, evidence


def _documented(*methods: Callable[..., Any], **given: Any) -> Check:
    from fivefold.evidence.batteries.losses import documented, misjudged

    wrong = [name for method in methods for name in documented(method)]
    wrong += [name for method in methods if isinstance(method, type) for name in misjudged(method, given)]
    return Check(len(wrong), 0, f"defaults or ranges that differ {wrong}", "the docstring")


@evidence("gaussian-kl", claim="Defaults and ranges are those of the documentation", against="the docstring")
def gaussian_kl_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.GaussianKLLoss)


@evidence(
    "focal-loss", claim="For classes too, defaults and ranges are those of the documentation", against="the docstring"
)
def focal_documented() -> Check:
    from fivefold.objectives.focal import MulticlassFocalLoss

    return _documented(MulticlassFocalLoss)


@evidence("cross-entropy", claim="Smooth labels have the documented default", against="the docstring")
def smooth_documented() -> Check:
    from fivefold.objectives.cross_entropy import smooth_labels

    return _documented(smooth_labels)


@evidence("shannon-entropy", claim="Defaults are those of the documentation", against="the docstring")
def information_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.shannon_entropy, objectives.self_information, objectives.mutual_information)


@evidence("triplet-mining", claim="Defaults and ranges are those of the documentation", against="the docstring")
def mining_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.TripletMiner, objectives.mine_triplets)


@evidence("margin-annealing", claim="Defaults are those of the documentation", against="the docstring")
def annealing_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.MarginAnnealing, loss=objectives.ASoftmaxLoss(), end=0.0)


@evidence("l1-regularizer", claim="Defaults and ranges are those of the documentation", against="the docstring")
@evidence("l2-regularizer", claim="Defaults and ranges are those of the documentation", against="the docstring")
def penalties_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.L1Regularizer, objectives.L2Regularizer)


@evidence("group-regularizer", claim="Defaults are those of the documentation", against="the docstring")
def groups_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.GroupRegularizer, groups="ab")


@evidence("ctc-loss", claim="Defaults and ranges are those of the documentation", against="the docstring")
def ctc_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.CTCLoss, objectives.collapse)


@evidence("wasserstein-distance", claim="Defaults and ranges are those of the documentation", against="the docstring")
def transport_documented() -> Check:
    from fivefold import objectives

    return _documented(
        objectives.WassersteinLoss,
        objectives.SlicedWassersteinLoss,
        objectives.SinkhornDivergence,
        objectives.wasserstein_distance,
        objectives.optimal_transport,
    )


@evidence(
    "joint-embedding-classification-loss",
    claim="Defaults and ranges are those of the documentation",
    against="the docstring",
)
def joint_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.JointEmbeddingClassificationLoss)


@evidence("minibatch-aware-regularizer", claim="The default is that of the documentation", against="the docstring")
def minibatch_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.MinibatchAwareRegularizer, counts=[1.0])


@evidence("empirical-risk-minimization", claim="Defaults are those of the documentation", against="the docstring")
def risk_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.EmpiricalRisk, objectives.expected_risk, loss=objectives.MSELoss())


@evidence("maximum-likelihood", claim="Defaults are those of the documentation", against="the docstring")
def likelihood_documented() -> Check:
    from fivefold import objectives

    return _documented(objectives.NegativeLogLikelihoodLoss)
