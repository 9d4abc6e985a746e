"""What factorization machines and their kin share: rows from tables, sparse matrices or readers, passes, answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numba
import numpy as np
import polars as pl
from numpy.typing import NDArray

from fivefold.base.errors import CapabilityError, DataError, SpecError
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams

from ._fields import FieldEncoder, fresh_fit, infer_fields, to_frame
from ._machines_kernels import ADAGRAD, FTRL, SGD, taken

SOLVERS = {"sgd": SGD, "adagrad": ADAGRAD, "ftrl": FTRL}

TOGETHER = 8192
"""Rows that are brought together before steps are made on them: from far apart each would keep its step waiting."""

_LARGEST = 2**31 - 2  # of the indices that int32 holds, with a size that it holds as well

Array = NDArray[Any]
How = tuple[int, float, float, float, float, float, float]
"""The rule of a step by its number, rate, beta, l1 and l2 of the weights, l1 and l2 of the pairs."""


@dataclass(frozen=True)
class Rows:
    """Sparse rows: pair p of row r lies between ``offsets[r]`` and ``offsets[r + 1]``."""

    offsets: Array
    inds: Array
    vals: Array
    fields: Array | None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def taken(self, order: Array) -> Rows:
        """Return some of the rows, in that order."""
        return Rows(*taken(order, self.offsets, self.inds, self.vals, self.fields))

    def of_length_one(self) -> Rows:
        """Return the rows divided by their Euclidean lengths; rows of zeros stay."""
        row = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        lengths = np.sqrt(np.bincount(row, self.vals**2, len(self)))
        return replace(self, vals=self.vals / np.where(lengths > 0, lengths, 1.0)[row])


class SparseMachine(Estimator):
    """Base of the machines: a method gives the length of its parameters, their start, scores and a pass of steps.

    Parameters
    ----------
    features : as for :class:`~fivefold.models.recommend._base.CTRModel`
        How the columns of a table are taken; sparse matrices and what a reader returns need none.
    task : {"binary", "regression"}, default "binary"
    solver : {"adagrad", "sgd", "ftrl"}, default "adagrad"
        Rule by which each row's features step; AdaGrad starts its sums at 1.
    learning_rate : float > 0, default 0.1
    l2 : float >= 0, default 2e-5
        Penalty λ/2 Σ θ² of the features that a row holds, at each step; of FTRL once for all steps together, so that a useful
        one grows with the rows. The bias has none.
    l1 : float >= 0, default 0
        For FTRL only.
    l2_pairs, l1_pairs : float >= 0, optional
        The penalties of what belongs to pairs, vectors or weights; by default as for the first-order weights.
    beta : float >= 0, default 1
        For FTRL only: the rate is learning_rate / (beta + √Σg²).
    normalize : bool, default False
        Divide each row by its Euclidean length, as libffm and xLearn do: long rows then take no greater steps than short ones.
    max_iter : int >= 1, default 10
        Passes over the rows, each in a new order.
    random_state : int, NumPy generator or None, default 0

    Attributes
    ----------
    theta_ : array
        Bias, first-order weights, then those of the pairs.
    classes_ : array (2,)
        For the task binary.
    n_features_in_ : int
        d, features in the joint index space.
    n_iter_, n_parameters_ : int
    """

    _needs_fields: ClassVar[bool] = False

    def __init__(
        self,
        *,
        features: Mapping[str, Any] | Sequence[str] | None = None,
        task: str = "binary",
        solver: str = "adagrad",
        learning_rate: float = 0.1,
        l2: float = 2e-5,
        l1: float = 0.0,
        l2_pairs: float | None = None,
        l1_pairs: float | None = None,
        beta: float = 1.0,
        normalize: bool = False,
        max_iter: int = 10,
        random_state: Any = 0,
    ) -> None:
        self.features = features
        self.task = task
        self.solver = solver
        self.learning_rate = learning_rate
        self.l2 = l2
        self.l1 = l1
        self.l2_pairs = l2_pairs
        self.l1_pairs = l1_pairs
        self.beta = beta
        self.normalize = normalize
        self.max_iter = max_iter
        self.random_state = random_state

    # -- what a method gives ------------------------------------------------------------------------------------------

    def _start(self, streams: Streams) -> Array:
        """Return the parameters before the first step."""
        raise NotImplementedError

    def _scores(self, rows: Rows) -> Array:
        raise NotImplementedError

    def _pass(self, rows: Rows, y: Array, weight: Array, state: tuple[Array, Array], how: How) -> None:
        raise NotImplementedError

    # -- fitting ------------------------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        name = type(self).__name__
        if self.task not in ("binary", "regression"):
            raise CapabilityError(f"{name} serves the tasks binary, regression; got task={self.task!r}.")
        if self.solver not in SOLVERS:
            raise SpecError(f"{name}: solver must be one of {', '.join(SOLVERS)}; got {self.solver!r}.")
        if not self.learning_rate > 0:
            raise SpecError(f"{name}: learning_rate must be greater than 0, got {self.learning_rate!r}.")
        for key in ("l2", "l1", "l2_pairs", "l1_pairs", "beta"):
            value = getattr(self, key)
            if value is not None and not value >= 0:
                raise SpecError(f"{name}: {key} must be at least 0, got {value!r}.")
            if key.startswith("l1") and value and self.solver != "ftrl":
                raise SpecError(
                    f"{name}: {key} needs solver='ftrl', which alone gives exact zeros; got solver={self.solver!r}."
                )
        if isinstance(self.max_iter, bool) or not isinstance(self.max_iter, (int, np.integer)) or self.max_iter < 1:
            raise SpecError(f"{name}: max_iter must be a whole number of at least 1, got {self.max_iter!r}.")

    def fit(self, table: Any, target: Any = None, sample_weight: Any = None) -> Self:
        """Train on rows and their target.

        Parameters
        ----------
        table : table, SciPy sparse matrix (n, d), or what :class:`~fivefold.data.MultiFieldReader` returns
        target : name of a column, or one value a row (n,); what a reader returns brings its own
        sample_weight : array (n,) >= 0, optional
        """
        self._check_settings()
        with fresh_fit(self):
            self._fit(table, target, sample_weight)
        return self

    def _fit(self, table: Any, target: Any, sample_weight: Any) -> None:
        frame = None if _is_sparse(table) else to_frame(table)
        if isinstance(target, str):
            if frame is None or target not in frame.columns:
                columns = "" if frame is None else f"; columns are: {', '.join(frame.columns)}"
                raise DataError(f"The table has no column {target!r} to be the target{columns}.")
            values, frame = frame[target].to_numpy(), frame.drop(target)
        else:
            if target is None and isinstance(table, Mapping):
                target = table.get("label")
            if target is None:
                raise DataError(f"{type(self).__name__} needs a target: the name of a column, or one value a row.")
            values = target.to_numpy() if isinstance(target, pl.Series) else np.asarray(target)
        if frame is not None:
            self.encoder_ = FieldEncoder(infer_fields(frame, self.features)).fit(frame)
        rows = self._rows(table if frame is None else frame, reset=True)
        if values.shape != (len(rows),):
            raise DataError(
                f"The target has the shape {values.shape}, the table {len(rows)} rows; give one value a row."
            )
        if not len(rows):
            raise DataError("There are no rows to train on; give at least one.")
        y, weight = self._targets(values), _weights(sample_weight, len(rows))
        streams = Streams.of(self.random_state)
        self.theta_ = self._start(streams.child("start"))
        self.n_parameters_ = len(self.theta_)
        squares, sums = self._state()
        rates = (self.learning_rate, self.beta, self.l1, self.l2, *self._pair_penalties())
        how = (SOLVERS[self.solver], *map(float, rates))
        for epoch in range(self.max_iter):
            order = streams.numpy("order", epoch).permutation(len(rows))
            for part, brought in _brought(rows, order):
                self._pass(brought, y[part], weight[part], (squares, sums), how)
        if not np.isfinite(self.theta_).all():
            raise DataError(f"{type(self).__name__} diverged; use a smaller learning_rate than {self.learning_rate!r}.")
        self.n_iter_ = self.max_iter

    def _state(self) -> tuple[Array, Array]:
        """Return the sums of squares, 1 for AdaGrad, and FTRL's sums, which give the weights there are."""
        squares = np.full(len(self.theta_), 1.0 if self.solver == "adagrad" else 0.0)
        if self.solver != "ftrl":
            return squares, np.zeros(len(self.theta_))
        # Bias and weights start at 0: what starts elsewhere belongs to pairs, or has no penalty.
        l1, l2 = self._pair_penalties()
        penalized = np.arange(len(self.theta_)) < len(self.theta_) - self._unpenalized()
        pull = penalized * (l2 * self.theta_ + l1 * np.sign(self.theta_))
        return squares, -self.beta / self.learning_rate * self.theta_ - pull

    def _pair_penalties(self) -> tuple[float, float]:
        """Return l1 and l2 of what belongs to pairs."""
        l1 = self.l1 if self.l1_pairs is None else self.l1_pairs
        return l1, self.l2 if self.l2_pairs is None else self.l2_pairs

    def _unpenalized(self) -> int:
        """Return how many of the last parameters have no penalty."""
        return 0

    def _targets(self, values: Array) -> Array:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError("The target has missing or infinite values; drop these rows.")
        if self.task == "regression":
            if values.dtype.kind not in "biuf":
                raise DataError("The target of a regression must hold finite numbers.")
            return values.astype(np.float64)
        self.classes_, codes = np.unique(
            values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True
        )
        if self.classes_.dtype.kind in "iuf":
            odd = [c for c in self.classes_.tolist() if c not in (0, 1)]
            if odd:
                raise DataError(f"The target holds the label {odd[0]:g}; a binary task has the labels 0 and 1.")
        if len(self.classes_) != 2:
            shown = ", ".join(map(repr, self.classes_[:5].tolist()))
            raise DataError(f"A binary task needs exactly 2 classes; the target holds: {shown}.")
        return codes.astype(np.float64)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _rows(self, table: Any, *, reset: bool = False) -> Rows:
        """Return sparse rows of a table, a matrix or what a reader returned."""
        if hasattr(table, "tocsr"):
            rows = self._of_matrix(table)
            size = table.shape[1]
        elif isinstance(table, Mapping) and "inds" in table:
            rows = _of_reader(table)
            size = int(rows.inds.max(initial=-1)) + 1
        else:
            if not reset and not hasattr(self, "encoder_"):
                raise DataError(f"This {type(self).__name__} was fitted on sparse rows; give such rows, not a table.")
            rows, size = self._of_table(to_frame(table)), self.encoder_.rows
        if self._needs_fields and rows.fields is None:
            raise DataError(
                f"{type(self).__name__} needs the field of each feature: give a table, libffm lines, or lines of one field_size."
            )
        if not np.isfinite(rows.vals).all():
            raise DataError("The rows contain NaN or infinity; give finite numbers.")
        fields = 0 if rows.fields is None else int(rows.fields.max(initial=-1)) + 1
        if reset:
            self.n_features_in_, self.n_fields_ = size, fields
        for what, most, found in (("feature", self.n_features_in_, size), ("field", self.n_fields_, fields)):
            if found > most and (what == "feature" or self._needs_fields):
                raise DataError(f"These rows hold {what} {found - 1}, but the model was fitted on 0 to {most - 1}.")
        return rows.of_length_one() if self.normalize else rows

    def _of_matrix(self, matrix: Any) -> Rows:
        csr = matrix.tocsr()
        return Rows(csr.indptr.astype(np.int64), _whole(csr.indices), csr.data.astype(np.float64), None)

    def _of_table(self, frame: pl.DataFrame) -> Rows:
        """Return one pair a field; a set gives one a member, each with the value 1 / size."""
        found = self.encoder_.transform(frame)
        n, width = found["inds"].shape
        if not self.encoder_.sets:
            offsets = np.arange(0, n * width + 1, width, dtype=np.int64)
            return Rows(
                offsets, _whole(found["inds"]), found["vals"].reshape(-1), np.tile(np.arange(width, dtype=np.int32), n)
            )
        inds, vals = [found["inds"]], [found["vals"]]
        fields = [np.arange(width)]
        for place, field in enumerate(self.encoder_.sets):
            codes = found[field.name]
            inside = codes >= 0
            inds.append(codes)
            vals.append(inside / np.maximum(inside.sum(axis=1, keepdims=True), 1))
            fields.append(np.full(codes.shape[1], width + place))
        all_inds, all_vals = np.concatenate(inds, axis=1), np.concatenate(vals, axis=1)
        kept = all_inds >= 0
        offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
        all_fields = np.broadcast_to(np.concatenate(fields), all_inds.shape)
        return Rows(offsets, _whole(all_inds[kept]), all_vals[kept], _whole(all_fields[kept]))

    # -- answers ------------------------------------------------------------------------------------------------------

    def _answers(self, table: Any) -> Array:
        self._check_fitted()
        return self._scores(self._rows(table))

    def decision_function(self, table: Any) -> Array:
        """Return the log odds of the second class, shape (n,)."""
        self._refuse_regression("decision_function")
        return self._answers(table)

    def predict_proba(self, table: Any) -> Array:
        """Return the probabilities of both classes, shape (n, 2)."""
        self._refuse_regression("predict_proba")
        second = 1 / (1 + np.exp(-np.clip(self._answers(table), -700, 700)))
        return np.stack([1 - second, second], axis=1)

    def _refuse_regression(self, verb: str) -> None:
        self._check_fitted()
        if self.task == "regression":
            raise CapabilityError(
                f"{verb} needs classes; this {type(self).__name__} was fitted with task='regression'."
            )

    def predict(self, table: Any) -> Array:
        """Return the class of each row, the second where its log odds are above 0; or the value."""
        scores = self._answers(table)
        return scores if self.task == "regression" else self.classes_[(scores > 0).astype(int)]


def _is_sparse(table: Any) -> bool:
    return hasattr(table, "tocsr") or (isinstance(table, Mapping) and "inds" in table)


def _of_reader(found: Mapping[str, Array]) -> Rows:
    """Return the rows of a reader; on lines of one field size the place is the field."""
    inds, vals = np.asarray(found["inds"]), np.asarray(found["vals"], dtype=np.float64)
    fields = found.get("fields")
    if "offsets" in found:
        offsets = np.asarray(found["offsets"], dtype=np.int64)
    else:
        n, width = inds.shape
        offsets = np.arange(0, n * width + 1, width, dtype=np.int64)
        fields = np.broadcast_to(np.arange(width), inds.shape) if fields is None else fields
    return Rows(offsets, _whole(inds), vals.reshape(-1), None if fields is None else _whole(fields))


def _whole(places: Array) -> Array:
    """Return indices or fields flat and as short as rows are brought together fastest, int32."""
    flat = np.asarray(places).reshape(-1)
    low, high = int(flat.min(initial=0)), int(flat.max(initial=0))
    if low < 0 or high > _LARGEST:
        raise DataError(f"The rows hold the index {low if low < 0 else high}; indices are 0 to {_LARGEST}.")
    return flat.astype(np.int32, copy=False)


def _brought(rows: Rows, order: Array) -> Iterator[tuple[Array, Rows]]:
    """Yield parts of an order with their rows brought together, the next ones by a thread where there are two."""
    parts = [order[first : first + TOGETHER] for first in range(0, len(order), TOGETHER)]
    if numba.get_num_threads() == 1:
        yield from ((part, rows.taken(part)) for part in parts)
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(rows.taken, parts[0])
        for part, after in zip(parts, [*parts[1:], None]):
            brought = coming.result()
            if after is not None:
                coming = pool.submit(rows.taken, after)
            yield part, brought


def _weights(sample_weight: Any, n: int) -> Array:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise DataError(f"sample_weight must hold {n} finite weights >= 0, one of them positive.")
    return weight
