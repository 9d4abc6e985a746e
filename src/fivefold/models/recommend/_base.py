"""Models of click logs as estimators: ``fit(table, target)``, then probabilities, classes or values of other tables."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fivefold.base.cards import get_card
from fivefold.base.errors import CapabilityError, DataError, SpecError
from fivefold.engine.estimator import PREDICTION_ROWS, NeuralEstimator, _weights
from fivefold.engine.learner import PartSpec, SupervisedLearner
from fivefold.engine.schema import NetworkSchema
from fivefold.engine.session import current_session

from ._fields import FieldEncoder, IndexEncoder, fresh_fit, infer_fields, is_rows, target_of, to_frame
from ._inputs import ACTIVATIONS, FieldLearner, FieldNetwork, Layout

UPDATES = ("lazy", "dense")
_STATES = {"adam": 2, "sparse-adam": 2, "adagrad": 1, "ftrl": 2, "sgd": 0}


class CTRModel(NeuralEstimator):
    """Base of the models of click logs: a method defines ``network(layout, n_outputs)``.

    Parameters
    ----------
    features : mapping column -> kind or options, sequence of columns, or int, optional
        Kinds are "categorical", "numeric", "set" and "sequence"; options those of a field: ``table`` (shared by name),
        ``buckets``, ``min_count``, ``scale`` ("standard", "log", "bucket") and ``max_length``. By default every column but the
        target: numbers with decimals are numeric, lists are sequences, all else is categorical. An int is the size of the
        joint index space, for rows of index and value that :class:`~fivefold.data.MultiFieldReader` returns.
    embedding_dim : int >= 1, default 16
        Length of the vector of a category.
    task : {"binary", "multiclass", "regression"}, default "binary"
        What the target is; not every method serves all.
    l2 : float >= 0, default 0
        Mini-batch-aware L2 penalty of the looked-up rows of the table: each divided by its count in training.
    updates : {"lazy", "dense"}, default "lazy"
        Whether a step moves the looked-up rows of the table alone, or all of it.
    max_epochs : int >= 1, default 3
        Models of click logs often overfit after one epoch.
    batch_size : int >= 1, default 256
    optimizer : str, default "sparse-adam"
        For lazy updates one that takes sparse gradients: sparse-adam, adagrad, ftrl, sgd.
    learning_rate : float >= 0, default 1e-3
    others
        As for :class:`~fivefold.engine.estimator.NeuralClassifier`.

    Attributes
    ----------
    encoder_ : FieldEncoder
        Vocabularies, counts and means of the training rows.
    classes_ : array (n_classes,)
        Unless the task is regression.
    module_ : nn.Module
        The trained network.
    memory_plan_ : str
        Rows and bytes of the table, told on stderr before training starts when a run shows progress.
    history_, n_iter_, schema_
        As for :class:`~fivefold.engine.estimator.NeuralClassifier`.

    Raises
    ------
    DataError
        For columns that are not there, labels other than two for a binary task, infinite numbers.
    SpecError
        For a parameter out of range.
    CapabilityError
        For a task that the method does not serve.
    """

    _tasks: ClassVar[tuple[str, ...]] = ("binary", "regression")

    def __init__(
        self,
        *,
        features: Mapping[str, Any] | Sequence[str] | int | None = None,
        embedding_dim: int = 16,
        task: str = "binary",
        l2: float = 0.0,
        updates: str = "lazy",
        max_epochs: int = 3,
        batch_size: int = 256,
        optimizer: str = "sparse-adam",
        learning_rate: float = 1e-3,
        **common: Any,
    ) -> None:
        super().__init__(
            max_epochs=max_epochs, batch_size=batch_size, optimizer=optimizer, learning_rate=learning_rate, **common
        )
        self.features = features
        self.embedding_dim = embedding_dim
        self.task = task
        self.l2 = l2
        self.updates = updates

    def network(self, layout: Layout, n_outputs: int) -> FieldNetwork:
        """Return the network f(x; θ) for the fields of ``layout``."""
        raise NotImplementedError

    def _first_order(self) -> bool:
        """Tell whether a weight stands beside each vector of the table."""
        return False

    def _options(self) -> dict[str, Any]:
        """Return what every network takes: the length of the vectors, sparse gradients or not, the penalty."""
        return {"dim": int(self.embedding_dim), "sparse": self._by_rows(), "l2": float(self.l2)}

    def _by_rows(self) -> bool:
        """Tell whether gradients name the looked-up rows alone; dense steps of sparse Adam get by with these, too."""
        options = dict(self.optimizer_options or {})
        every_weight = self.weight_decay or any(
            clip is not None for clip in (self.clip_norm, self.clip_norm_each, self.clip_value)
        )
        passes = get_card(self.optimizer).id == "sparse-adam" and not {"lazy", "weight_decay"} & set(options)
        return self.updates == "lazy" or (passes and not every_weight)

    def build(self, schema: NetworkSchema) -> nn.Module:
        """Return the network for the encoded fields."""
        return self.network(Layout.of(self.encoder_), schema.n_outputs)

    def learner(self, module: nn.Module) -> SupervisedLearner:
        """Return what the engine trains."""
        return FieldLearner(module, self.objective())

    def usual_objective(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the cross-entropy of the logits or the squared error, one number a row."""
        functional = nn.functional
        if self.schema_.task == "binary":
            return lambda out, y: functional.binary_cross_entropy_with_logits(
                out.squeeze(1), y.to(out.dtype), reduction="none"
            )
        if self.schema_.task == "multiclass":
            return lambda out, y: functional.cross_entropy(out, y, reduction="none")
        return lambda out, y: (out.squeeze(1) - y).square()

    def part(self) -> PartSpec:
        """Return how the network is optimized; Adam with sparse gradients is lazy unless told otherwise."""
        spec = super().part()
        return with_lazy(spec) if self.updates == "lazy" else spec

    # -- fitting ------------------------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        super()._check_settings()
        name = type(self).__name__
        if self.task not in self._tasks:
            raise CapabilityError(f"{name} serves the tasks {', '.join(self._tasks)}; got task={self.task!r}.")
        if self.updates not in UPDATES:
            raise SpecError(f"{name}: updates must be one of {', '.join(UPDATES)}; got {self.updates!r}.")
        for key, low in (("embedding_dim", 1), *self._whole_parameters()):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise SpecError(f"{name}: {key} must be a whole number of at least {low}, got {value!r}.")
        for key in ("l2", "learning_rate"):
            if not getattr(self, key) >= 0:
                raise SpecError(f"{name}: {key} must be at least 0, got {getattr(self, key)!r}.")
        for key in (key for key in self.get_params() if key.endswith("_sizes")):
            sizes = getattr(self, key)
            if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
                raise SpecError(f"{name}: {key} must be whole numbers of at least 1, got {sizes!r}.")
        if not 0 <= getattr(self, "dropout", 0.0) < 1:
            raise SpecError(f"{name}: dropout must lie in [0, 1), got {self.dropout!r}.")
        if getattr(self, "activation", "relu") not in tuple(ACTIVATIONS):
            raise SpecError(f"{name}: activation must be one of {', '.join(ACTIVATIONS)}; got {self.activation!r}.")

    def _whole_parameters(self) -> tuple[tuple[str, int], ...]:
        """Return the method's own parameters that are whole numbers, with the least each may be."""
        return ()

    def fit(self, table: Any, target: Any = None, sample_weight: Any = None) -> Self:
        """Train on a table and its target: the name of a column, or one value a row.

        What a reader of sparse lines returned may stand for the table; it brings its own target.
        """
        self._check_settings()
        with fresh_fit(self):
            self._fit(table, target, sample_weight)
        return self

    def _fit(self, table: Any, target: Any, sample_weight: Any) -> None:
        self.encoder_: FieldEncoder | IndexEncoder
        if is_rows(table):
            size = self.features if isinstance(self.features, int) else None
            self.encoder_ = IndexEncoder.of(table, size)
            frame, n = table, len(table["inds"])
            values = target_of(table, target)
        else:
            frame, values = self._split(to_frame(table), target)
            self.encoder_ = FieldEncoder(infer_fields(frame, self.features))
            n = frame.height
        if values.shape != (n,):
            raise DataError(f"The target has the shape {values.shape}, the table {n} rows; give one value a row.")
        y, outputs = self._targets(values)
        if isinstance(self.encoder_, FieldEncoder):
            self.encoder_.fit(frame)
        schema = NetworkSchema((self.encoder_.width,), outputs, self.task, self._dtype_name())
        rows = self._encode(frame, schema)
        weight = _weights(sample_weight, rows["vals"] if self.encoder_.width else np.zeros((n, 1)))
        self._plan()
        self._train(rows, y, weight, schema)
        self._warn_of_overfitting()

    def fit_stream(
        self,
        source: Any,
        target: str = "label",
        *,
        validation: Any = None,
        shuffle: bool = True,
        buffer_rows: int = 65_536,
    ) -> Self:
        """Train on files that need not fit into memory: one pass learns the fields, each epoch is another.

        Parameters
        ----------
        source : path, list of paths, or :class:`~fivefold.data.streams_sources.Source`
            Parquet or CSV tables; lines of pairs through a ``LineSource`` with a reader's ``parse``.
        target : str, default "label"
            The column to predict.
        validation : the same as source, optional
            Rows to watch, for ``patience`` and the validation loss.
        shuffle : bool, default True
            Otherwise rows come in the order of the files.
        buffer_rows : int >= 1, default 65536
            Rows shuffled together; see :class:`~fivefold.data.streams.StreamedBatches`.

        Raises
        ------
        SpecError
            With ``validation_fraction``, since a stream holds no rows back, or ``patience`` without ``validation``.
        DataError
            As for ``fit``, and for files that change while they are read.
        """
        from ._streaming import Streamed

        self._check_settings()
        name = type(self).__name__
        if self.validation_fraction:
            raise SpecError(f"{name}: a stream holds no rows back; set validation_fraction=0 and give validation.")
        if self.patience is not None and validation is None:
            raise SpecError(f"{name}: patience={self.patience} needs rows to watch; give validation.")
        with fresh_fit(self):
            Streamed(self, target).fit(source, validation, shuffle, buffer_rows)
        return self

    @staticmethod
    def _split(frame: pl.DataFrame, target: Any) -> tuple[pl.DataFrame, NDArray[Any]]:
        """Return the features and the target of a table."""
        if not isinstance(target, str):
            return frame, target.to_numpy() if isinstance(target, pl.Series) else np.asarray(target)
        if target not in frame.columns:
            raise DataError(
                f"The table has no column {target!r} to be the target; columns are: {', '.join(frame.columns)}."
            )
        return frame.drop(target), frame[target].to_numpy()

    def _targets(self, values: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Return the target as the loss takes it, and the outputs of the network."""
        if (
            values.dtype.kind == "O"
            and any(v is None for v in values)
            or values.dtype.kind == "f"
            and np.isnan(values).any()
        ):
            raise DataError("The target has missing values; drop these rows.")
        if self.task == "regression":
            if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
                raise DataError("The target of a regression must hold finite numbers.")
            return values.astype(self._dtype_name()), 1
        texts = values.astype(str) if values.dtype.kind == "O" else values
        self.classes_, codes = np.unique(texts, return_inverse=True)
        if self.task == "binary" and self.classes_.dtype.kind in "iuf":
            odd = [c for c in self.classes_.tolist() if c not in (0, 1)]
            if odd:
                raise DataError(f"The target holds the label {odd[0]:g}; a binary task has the labels 0 and 1.")
        if len(self.classes_) < 2 or (self.task == "binary" and len(self.classes_) > 2):
            shown = ", ".join(map(repr, self.classes_[:5].tolist()))
            wanted = "exactly 2" if self.task == "binary" else "at least 2"
            raise DataError(f"A {self.task} task needs {wanted} classes; the target holds: {shown}.")
        return codes.astype(np.int64), 1 if self.task == "binary" else len(self.classes_)

    def _encode(self, frame: Any, schema: NetworkSchema) -> dict[str, NDArray[Any]]:
        rows = self.encoder_.transform(frame)
        rows["vals"] = rows["vals"].astype(schema.dtype_name)
        return rows

    def _plan(self) -> None:
        self.memory_plan_ = self._memory_plan()
        around = current_session()
        if around is not None and around.progress:
            sys.stderr.write(self.memory_plan_ + "\n")

    def _memory_plan(self) -> str:
        rows, columns = self.encoder_.rows, int(self.embedding_dim) + self._first_order()
        width = 8 if self._dtype_name() == "float64" else 4
        states = _STATES.get(get_card(self.optimizer).id, 2)
        table, state = rows * columns * width, rows * columns * width * states
        fields = ", ".join(f"{name} {t.rows:,}" for name, t in self.encoder_.tables.items())
        return (
            f"Embedding table: {rows:,} rows x {columns} = {table / 2**20:.1f} MiB, {state / 2**20:.1f} MiB of optimizer state "
            f"({self.updates} updates){'; rows by table: ' + fields if fields else ''}."
        )

    def _warn_of_overfitting(self) -> None:
        losses = [epoch["val_loss"] for epoch in self.history_ if "val_loss" in epoch]
        if len(losses) > 1 and losses[1] > losses[0]:
            warnings.warn(
                f"The validation loss rose after the first epoch ({losses[0]:.4f} to {losses[1]:.4f}), as models of click logs "
                "often do; train for one epoch, or set patience=0.",
                UserWarning,
                stacklevel=4,
            )

    # -- answers ------------------------------------------------------------------------------------------------------

    def _outputs(self, table: Any) -> NDArray[Any]:
        """Return the network's outputs, shape (n, n_outputs)."""
        self._check_fitted()
        rows = {
            name: torch.from_numpy(a)
            for name, a in self._encode(table if is_rows(table) else to_frame(table), self.schema_).items()
        }
        found = []
        with torch.no_grad():
            for first in range(0, len(rows["inds"]), PREDICTION_ROWS):
                found.append(self.module_({name: a[first : first + PREDICTION_ROWS] for name, a in rows.items()}))
        return torch.cat(found).numpy()

    def decision_function(self, table: Any) -> NDArray[Any]:
        """Return the logits: shape (n,) for two classes, (n, n_classes) for more."""
        self._refuse_regression("decision_function")
        outputs = self._outputs(table)
        return outputs[:, 0] if self.schema_.task == "binary" else outputs

    def predict_proba(self, table: Any) -> NDArray[Any]:
        """Return the probability of each class, shape (n, n_classes); rows sum to 1."""
        self._refuse_regression("predict_proba")
        outputs = torch.from_numpy(self._outputs(table).astype(np.float64))
        if self.schema_.task == "binary":
            second = torch.sigmoid(outputs[:, 0])
            return torch.stack([1 - second, second], dim=1).numpy()
        return torch.softmax(outputs, dim=1).numpy()

    def _refuse_regression(self, verb: str) -> None:
        self._check_fitted()
        if self.schema_.task == "regression":
            raise CapabilityError(
                f"{verb} needs classes; this {type(self).__name__} was fitted with task='regression'."
            )

    def predict(self, table: Any) -> NDArray[Any]:
        """Return the class of each row, the second of two where its probability is above one half; or the value."""
        outputs = self._outputs(table)
        if self.schema_.task == "regression":
            return outputs[:, 0]
        picks = (outputs[:, 0] > 0).astype(int) if self.schema_.task == "binary" else outputs.argmax(axis=1)
        return self.classes_[picks]


def with_lazy(spec: PartSpec) -> PartSpec:
    """Return the spec with ``lazy=True`` where its optimizer has such a switch and it is not set."""
    factory = get_card(spec.optimizer).load() if isinstance(spec.optimizer, str) else spec.optimizer
    if "lazy" not in inspect.signature(factory).parameters or "lazy" in spec.options:
        return spec
    return dataclasses.replace(spec, options={**spec.options, "lazy": True})
