"""Factorization machine: every feature has a vector, every pair the product of its two."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.base.errors import SpecError
from fivefold.base.random import Streams

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout
from ._machines import Array, How, Rows, SparseMachine
from ._machines_kernels import fm_pass, fm_scores
from .deepfm import DeepFMNetwork

STARTS = ("normal", "half-normal")


class FactorizationMachine(SparseMachine):
    r"""Factorization machine, trained row by row from sparse data.

    .. math:: z = w_0 + \sum_j w_j x_j + \frac12 \sum_{f=1}^{K} \Big[\big(\sum_j v_{jf} x_j\big)^2 - \sum_j v_{jf}^2 x_j^2\Big]
        = w_0 + \sum_j w_j x_j + \sum_{i<j} \langle v_i, v_j \rangle x_i x_j

    Parameters
    ----------
    embedding_dim : int >= 0, default 8
        K; 0 leaves a linear model.
    init_std : float >= 0, default 0.01
        Spread of the vectors before the first step.
    init : {"normal", "half-normal"}, default "normal"
        Half-normal vectors are positive: all pairs start with one sign, as in libffm and xLearn.
    others
        As for the base :class:`~fivefold.models.recommend._machines.SparseMachine`.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    Notes
    -----
    The pairs are j < k: one source starts its first sum at k = j. Its program leaves the penalty of v out, which its objective
    has; here v is penalized.

    References
    ----------
    Rendle, "Factorization machines", ICDM 2010; 04#fm.
    """

    def __init__(self, *, embedding_dim: int = 8, init_std: float = 0.01, init: str = "normal", **common: Any) -> None:
        super().__init__(**common)
        self.embedding_dim = embedding_dim
        self.init_std = init_std
        self.init = init

    def _check_settings(self) -> None:
        super()._check_settings()
        check_vectors(self, 0)

    def _start(self, streams: Streams) -> Array:
        d, k = self.n_features_in_, self.embedding_dim
        return np.concatenate([np.zeros(1 + d), drawn(self, streams, d * k)])

    def _scores(self, rows: Rows) -> Array:
        return fm_scores(rows.offsets, rows.inds, rows.vals, self.theta_, self.n_features_in_, self.embedding_dim)

    def _pass(self, rows: Rows, y: Array, weight: Array, state: tuple[Array, Array], how: How) -> None:
        shape = (self.n_features_in_, self.embedding_dim)
        data = (rows.offsets, rows.inds, rows.vals, y, weight)
        fm_pass(*data, self.theta_, *state, how, self.task == "binary", *shape)


def check_vectors(model: Any, low: int) -> None:
    """Refuse a length of vectors below ``low``, a negative spread and an unknown start."""
    name, value = type(model).__name__, model.embedding_dim
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
        raise SpecError(f"{name}: embedding_dim must be a whole number of at least {low}, got {value!r}.")
    if not model.init_std >= 0:
        raise SpecError(f"{name}: init_std must be at least 0, got {model.init_std!r}.")
    if model.init not in STARTS:
        raise SpecError(f"{name}: init must be one of {', '.join(STARTS)}; got {model.init!r}.")


def drawn(model: Any, streams: Streams, size: int) -> Array:
    """Return the numbers of all vectors before the first step."""
    normal = streams.numpy("vectors").normal(size=size) * model.init_std
    return np.abs(normal) if model.init == "half-normal" else normal


class FactorizationMachineLearner(CTRModel):
    r"""Factorization machine on the input layer of the deep models, trained in batches by any optimizer.

    .. math:: z = b + \sum_j w_j x_j + \sum_{i<j} \langle v_i, v_j \rangle x_i x_j

    Parameters
    ----------
    others
        As for the base :class:`~fivefold.models.recommend._base.CTRModel`; sets count as one field, with the mean of their
        members' vectors.

    Raises
    ------
    DataError, SpecError, CapabilityError
        For data and parameters that do not fit; see the base class.

    References
    ----------
    Rendle, "Factorization machines", ICDM 2010; 04#fm.
    """

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)

    def _first_order(self) -> bool:
        return True

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        return DeepFMNetwork(layout, (), **self._options())
