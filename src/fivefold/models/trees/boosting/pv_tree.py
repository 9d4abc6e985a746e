"""PV-Tree: boosting in several processes that vote for columns (Meng et al. 2016)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from fivefold.base.checks import choice
from fivefold.base.errors import DataError, InputError
from fivefold.base.random import Streams
from fivefold.data.validation import encode_labels

from ._binned import Binned
from ._binning import BinMapper
from ._boosted import Plan, count
from ._core import Grower
from ._exchange import Exchange
from ._extended import extends
from ._following import EvalSet
from ._losses import Loss
from ._parallel import DataParallelGrower, VotingGrower
from .lightgbm import LGBMClassifier, LGBMRegressor, _LightGBM


class _Shared(_LightGBM):
    """A fit whose rows are shared by processes."""

    tree_learner: str
    top_k: int
    _during: Exchange

    def _exchange(self) -> Exchange:
        """Return who takes part."""
        return Exchange.join()

    def _plan_with(self, loss: Loss, d: int, default_metric: str) -> Plan:
        choice("tree_learner", self.tree_learner, ("voting", "data"))
        count("top_k", self.top_k)
        return replace(super()._plan_with(loss, d, default_metric), bundle=False)

    def _boost(
        self,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray | None,
        plan: Plan,
        *,
        init_score: Any = None,
        eval_sets: list[EvalSet] | None = None,
        callbacks: Any = None,
    ) -> None:
        self._during = self._exchange()
        try:
            if self._during.size > 1:
                self._refuse(plan)
                if callbacks is not None:
                    raise InputError("`callbacks` see one process only; several processes take none.")
                followed = [(s.name, s.X.shape, float(s.y.sum())) for s in eval_sets or []]  # any value: a fingerprint
                given = (
                    X.shape[1],
                    str(X.dtype),
                    repr(sorted(self.get_params().items())),
                    init_score is None,
                    followed,
                )
                self._agree(given)
                if not all(self._during.gather(weight is None)):
                    weight = np.ones(X.shape[0]) if weight is None else weight
            super()._boost(X, y, weight, plan, init_score=init_score, eval_sets=eval_sets, callbacks=callbacks)
            self.traffic_ = self._during.sent
        finally:
            del self._during

    def _told(self) -> dict[str, str]:
        """Return the parameters that must be the same everywhere, as text; functions by their names."""
        own = {name: value for name, value in self.get_params().items() if name not in ("random_state", "n_jobs")}
        return {name: getattr(value, "__qualname__", repr(value)) for name, value in own.items()}

    def _refuse(self, plan: Plan) -> None:
        """Refuse what several processes cannot do as one would."""
        if plan.loss.quantile is not None:
            raise InputError(
                "Losses whose leaves are quantiles need all rows in one process; use 'huber' or 'regression'."
            )
        if plan.goss is not None:
            raise InputError(
                "One-side sampling ranks all rows, which lie in several processes; use `subsample` instead."
            )
        if self.columns_.names is not None:
            raise InputError(
                "Several processes cannot match the categories of their frames; give whole numbers and "
                "`categorical_feature`."
            )

    def _agree(self, given: tuple[Any, ...]) -> None:
        """Refuse tables, settings or evaluation sets that differ between processes."""
        words = ("columns", "kind of numbers", "parameters", "use of `init_score`", "evaluation sets")
        first, *others = self._during.gather(given)
        for rank, other in enumerate(others, start=1):
            for what, one, two in zip(words, first, other, strict=True):
                if one != two:
                    raise DataError(f"The {what} of process {rank} differ from those of process 0: {two}, not {one}.")

    def _streams(self) -> Streams:
        return Streams(self._during.gather(super()._streams().seed)[0])

    def _fit_bins(self, mapper: BinMapper, X: Any, streams: Streams, weight: np.ndarray | None) -> BinMapper:
        """Find the bins from the rows that one process would look at."""
        if self._during.size == 1:
            return super()._fit_bins(mapper, X, streams, weight)
        rows = np.arange(X.shape[0]) if weight is None else np.flatnonzero(weight > 0)
        first, total = self._places(len(rows))
        if total > mapper.sample:
            drawn = np.sort(streams.numpy("bins").choice(np.arange(total), mapper.sample, replace=False, shuffle=False))
            rows = rows[drawn[(drawn >= first) & (drawn < first + len(rows))] - first]
        parts = self._during.gather((X[rows], None if weight is None else weight[rows]))
        tables = [part for part, _ in parts]
        table = sp.vstack(tables, format="csr") if sp.issparse(X) else np.concatenate(tables)
        every = None if weight is None else np.concatenate([own for _, own in parts])
        return super()._fit_bins(mapper, table, streams, every)

    def _start(self, loss: Loss, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        parts = self._during.gather((y, weight))
        every = None if weight is None else np.concatenate([own for _, own in parts])
        return super()._start(loss, np.concatenate([own for own, _ in parts]), every)

    def _grower(self, table: Binned, plan: Plan, threads: int) -> Grower:
        kind = VotingGrower if self.tree_learner == "voting" else DataParallelGrower
        _, total = self._places(len(table))
        grower = kind(table, plan.growth, threads, plan.monotone, plan.groups, total).with_exchange(self._during)
        if isinstance(grower, VotingGrower):
            grower.top_k = self.top_k
        return grower

    def _drawn(self, rows: np.ndarray, share: float, streams: Streams, round_: int) -> np.ndarray:
        """Return those of the rows drawn from all processes that lie in this one."""
        first, total = self._places(len(rows))
        drawn = super()._drawn(np.arange(total), share, streams, round_)
        return rows[drawn[(drawn >= first) & (drawn < first + len(rows))] - first]

    def _places(self, n: int) -> tuple[int, int]:
        """Return how many rows the processes before this one have, and all together."""
        counts = self._during.gather(n)
        return sum(counts[: self._during.world.rank]), sum(counts)


class PVTreeRegressor(_Shared, LGBMRegressor):
    r"""Regression by histogram boosting in several processes, each with some of the rows.

    In every node a process votes for its ``top_k`` best columns; only the ``2 top_k`` with most votes are summed over all:

    .. math:: \text{traffic a node} = O(2 k \cdot \text{bins}) \quad \text{instead of} \quad O(d \cdot \text{bins})

    Each process calls ``fit`` with its own rows, and gets the whole model. Started by ``torchrun``, or after
    ``torch.distributed.init_process_group("gloo")``; in a single process it is :class:`LGBMRegressor`.

    Parameters
    ----------
    tree_learner : {"voting", "data"}, default "voting"
        "data" sums all columns: the trees are those of one process with all rows, bit for bit, whatever the number of
        processes.
    top_k : int >= 1, default 20
        Columns a process votes for in a node.
    **params
        Those of :class:`LGBMRegressor`, the same in all processes; without one-side sampling and quantile losses.

    Attributes
    ----------
    traffic_ : int
        Bytes of histograms and votes that this process gave.

    Raises
    ------
    DataError
        Tables, parameters or evaluation sets that differ between processes.
    InputError
        A parameter outside its range, or settings that need all rows in one process.

    Notes
    -----
    Bins and the start score are found once from the rows, targets and weights of all processes, so that they are those of one
    process. Least rows and Hessians of a leaf hold for all processes together; when it votes, a process asks for its share.
    The paper does not say which of equally many votes win: here the larger sum of gains, then the lower column.

    References
    ----------
    Meng et al., A communication-efficient parallel algorithm for decision tree, 2016; ``01#pv-tree``.

    Examples
    --------
    >>> model = PVTreeRegressor(n_estimators=50, min_child_samples=1).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 4, 4])
    >>> model.predict([[0.2], [2.9]]).round(1).tolist()
    [0.0, 4.0]
    """

    @extends(LGBMRegressor)
    def __init__(self, *, tree_learner: str = "voting", top_k: int = 20, **params: Any) -> None:
        self.tree_learner = tree_learner
        self.top_k = top_k
        super().__init__(**params)


class PVTreeClassifier(_Shared, LGBMClassifier):
    """Classification by histogram boosting in several processes; see :class:`PVTreeRegressor`.

    Classes are those of all processes together. ``class_weight="balanced"`` is refused in several processes; give a mapping.
    """

    @extends(LGBMClassifier)
    def __init__(self, *, tree_learner: str = "voting", top_k: int = 20, **params: Any) -> None:
        self.tree_learner = tree_learner
        self.top_k = top_k
        super().__init__(**params)

    def _labels(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        exchange = self._exchange()
        classes, codes = encode_labels(y)
        if exchange.size == 1:
            return classes, codes
        if isinstance(self.class_weight, str):
            raise InputError(
                "`class_weight` 'balanced' counts all rows, which lie in several processes; give a mapping."
            )
        every = np.unique(np.concatenate(exchange.gather(classes)))
        return every, np.searchsorted(every, classes)[codes]
