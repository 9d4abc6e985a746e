"""Neural networks behind scikit-learn's protocol: a method is just ``build(schema) -> nn.Module``, the f(x)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data
from torch import Tensor, nn

from fivefold.base.errors import DataError, InputTypeError, SpecError
from fivefold.base.estimator import Estimator
from fivefold.base.random import Streams
from fivefold.data.batches import Batches

from .callbacks import Callback
from .early_stopping import EarlyStopping
from .learner import PartSpec, SupervisedLearner
from .objective import named_objective
from .runtime import seeded
from .schema import NetworkSchema
from .session import current_session
from .trainer import Trainer

PREDICTION_ROWS = 8192
"""Rows that go through the network at once in prediction."""


class NeuralEstimator(Estimator):
    """Base of :class:`NeuralClassifier` and :class:`NeuralRegressor`; see there."""

    allow_nd: ClassVar[bool] = False
    """True where rows may be arrays themselves (images)."""

    def __init__(
        self,
        *,
        max_epochs: int = 20,
        batch_size: int = 128,
        loss: str | None = None,
        loss_options: Mapping[str, Any] | None = None,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        optimizer_options: Mapping[str, Any] | None = None,
        schedule: str | None = None,
        schedule_options: Mapping[str, Any] | None = None,
        clip_norm: float | None = None,
        clip_norm_each: float | None = None,
        clip_value: float | None = None,
        ema: float | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        device: str | None = None,
        precision: str | None = None,
        random_state: Any = 0,
    ) -> None:
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.loss = loss
        self.loss_options = loss_options
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer_options = optimizer_options
        self.schedule = schedule
        self.schedule_options = schedule_options
        self.clip_norm = clip_norm
        self.clip_norm_each = clip_norm_each
        self.clip_value = clip_value
        self.ema = ema
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.random_state = random_state

    @abstractmethod
    def build(self, schema: NetworkSchema) -> nn.Module:
        """Return the network f(x; θ): rows of ``schema.input_shape`` in, ``schema.n_outputs`` numbers a row out."""

    @abstractmethod
    def usual_objective(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the loss of the task: (outputs (batch, n_outputs), targets) -> one number a row (batch,)."""

    def objective(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the loss that ``loss`` names, the usual one of the task by default."""
        if self.loss is None:
            return self.usual_objective()
        return named_objective(self.loss, dict(self.loss_options or {}), self.schema_.task)

    def learner(self, module: nn.Module) -> SupervisedLearner:
        """Return what the engine trains; override it where a batch teaches more than the objective."""
        return SupervisedLearner(module, self.objective())

    def part(self) -> PartSpec:
        """Return how the network is optimized, from the estimator's parameters."""
        options = {"lr": self.learning_rate, "weight_decay": self.weight_decay, **dict(self.optimizer_options or {})}
        return PartSpec(
            optimizer=self.optimizer,
            options=options,
            schedule=self.schedule,
            schedule_options=dict(self.schedule_options or {}),
            clip_norm=self.clip_norm,
            clip_norm_each=self.clip_norm_each,
            clip_value=self.clip_value,
            ema=self.ema,
        )

    def parts(self) -> dict[str, PartSpec]:
        """Return how each part of the learner is optimized; override it where there are several."""
        return {"model": self.part()}

    # -- fitting ------------------------------------------------------------------------------------------------------

    def _precision(self) -> str:
        around = current_session()
        return str(self.precision or (around.precision if around is not None else "32-true"))

    def _dtype_name(self) -> str:
        return "float64" if self._precision() == "64-true" else "float32"

    def _check_settings(self) -> None:
        name = type(self).__name__
        for key in ("max_epochs", "batch_size"):
            value = getattr(self, key)
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise SpecError(f"{name}: {key} must be a whole number of at least 1, got {value!r}.")
        if not 0 <= self.validation_fraction < 1:
            raise SpecError(f"{name}: validation_fraction must lie in [0, 1), got {self.validation_fraction!r}.")

    def _check_x(self, X: Any, reset: bool, y: Any = "no_validation", **options: Any) -> Any:
        """Validate rows, or rows and targets; in their network's format, finite, with the features of ``fit``."""
        try:
            checked = validate_data(
                self,
                X,
                y,
                reset=reset,
                dtype=[np.float64, np.float32],
                order="C",
                allow_nd=self.allow_nd,
                ensure_all_finite=False,
                **options,
            )
        except ValueError as error:
            # scikit-learn's sentence, without the array that it may print below.
            raise DataError(_first_line(error)) from error
        except TypeError as error:
            raise InputTypeError(_first_line(error)) from error
        rows, targets = checked if isinstance(checked, tuple) else (checked, None)
        with np.errstate(over="ignore"):  # a number too large for the format becomes infinite and is refused below
            rows = rows.astype(self._dtype_name(), copy=False)
        self._refuse_missing(rows, "X")
        if not reset and rows.shape[1:] != self.schema_.input_shape:
            raise DataError(
                f"{type(self).__name__} was fitted on rows of shape {self.schema_.input_shape}, "
                f"these have shape {rows.shape[1:]}."
            )
        return rows if targets is None else (rows, targets)

    def _refuse_missing(self, values: NDArray[Any], what: str) -> None:
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return
        row = int(np.argmin(np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
        kind = "NaN" if np.isnan(values[row]).any() else "infinity (or a value too large for " + str(values.dtype) + ")"
        raise DataError(
            f"{what} contains {kind}, first in row {row}; {type(self).__name__} needs finite numbers. "
            "Fill or drop missing values first: the recipe scaled-one-hot does it."
        )

    def _train(self, X: Any, y: NDArray[Any], weight: NDArray[Any] | None, schema: NetworkSchema) -> None:
        """Build the network and train it on rows, or on a mapping of named rows; sets the fitted attributes."""
        streams = Streams.of(self.random_state)
        train, held = self._hold_out(y, streams)
        fields: dict[str, Any] = {**(X if isinstance(X, Mapping) else {"x": X}), "y": y}
        if weight is not None:
            fields["weight"] = weight.astype(schema.dtype_name)
        seed = streams.integer("batches")
        rows = len(train) if train is not None else len(y)
        size = min(int(self.batch_size), rows)
        if train is None or held is None:
            batches, validation = Batches(fields, size, seed=seed), None
        else:
            batches = Batches({k: v[train] for k, v in fields.items()}, size, seed=seed)
            validation = Batches({k: v[held] for k, v in fields.items()}, PREDICTION_ROWS, shuffle=False)
        self._train_on(batches, validation, schema, streams)

    def _train_on(self, batches: Any, validation: Any, schema: NetworkSchema, streams: Streams) -> None:
        """Build the network and train it on batches of named rows and ``y``; sets the fitted attributes."""
        self.schema_ = schema
        with seeded(streams, "init"):
            module = self.build(schema).to(schema.dtype)
        learner = self.learner(module)
        callbacks: list[Callback] = []
        if self.patience is not None:
            callbacks.append(EarlyStopping("val_loss", patience=self.patience))
        trainer = Trainer(
            int(self.max_epochs),
            parts=self.parts(),
            seed=streams.integer("trainer"),
            callbacks=callbacks,
            device=self.device,
            precision=self.precision,
        )
        history = trainer.fit(learner, batches, validation)
        for average in history.averages.values():
            average.copy_to()
        self.history_ = history.epochs
        self.n_iter_ = len(history)
        self.module_ = module.to("cpu", schema.dtype).eval()
        self.module_.requires_grad_(False)

    def _hold_out(self, y: NDArray[Any], streams: Streams) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Return the rows to train on and those to watch, in a random order that keeps the shares of classes."""
        if self.validation_fraction == 0:
            if self.patience is not None:
                raise SpecError(
                    f"{type(self).__name__}: patience={self.patience} needs rows to watch; set validation_fraction, for "
                    "example to 0.1."
                )
            return None, None
        n = len(y)
        order = streams.numpy("validation").permutation(n)
        if self._stratified:
            # Within each class the same share is held out: the rows are ranked by class, then every k-th is taken.
            order = order[np.argsort(y[order], kind="stable")]
        wanted = max(1, round(n * self.validation_fraction))
        if wanted >= n:
            raise DataError(
                f"{n} rows are too few to hold out {self.validation_fraction:.0%} of them; use validation_fraction=0."
            )
        picks = np.floor((np.arange(wanted) + 0.5) * n / wanted).astype(int)
        mask = np.zeros(n, dtype=bool)
        mask[order[picks]] = True
        return np.flatnonzero(~mask), np.flatnonzero(mask)

    _stratified: ClassVar[bool] = False

    def _outputs(self, X: Any) -> NDArray[Any]:
        """Return the network's outputs, shape (n, n_outputs), in its own format."""
        self._check_fitted()
        rows = torch.from_numpy(self._check_x(X, reset=False))
        with torch.no_grad():
            found = [self.module_(chunk) for chunk in torch.split(rows, PREDICTION_ROWS)]
        return torch.cat(found).reshape(len(rows), self.schema_.n_outputs).numpy()

    # -- saving -------------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return parameters, fitted attributes, and the network as its schema and weights."""
        state = super().get_state()
        module = state["fitted"].pop("module_", None)
        state["weights"] = dict(module.state_dict()) if module is not None else None
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build the network again and fill in its weights."""
        self = super().from_state({"params": state["params"], "fitted": state["fitted"]})
        if state["weights"] is not None:
            with seeded(Streams(0), "init"):
                module = self.build(self.schema_).to(self.schema_.dtype)
            module.load_state_dict(state["weights"])
            self.module_ = module.eval().requires_grad_(False)
        return self


class NeuralClassifier(ClassifierMixin, NeuralEstimator):
    r"""Base of neural classifiers: subclass it and define ``build``.

    .. math:: \min_\theta \frac{\sum_i w_i\, \ell(f(x_i; \theta), y_i)}{\sum_i w_i}, \quad
        \ell \text{ the cross-entropy of the logits}

    Parameters
    ----------
    max_epochs : int >= 1, default 20
    batch_size : int >= 1, default 128
    loss : str, optional
        Id of a loss that fits the task, such as "focal-loss"; the usual one by default.
    loss_options : mapping, optional
        Its parameters.
    optimizer : str, default "adam"
        Id of a gradient optimizer.
    learning_rate : float >= 0, default 1e-3
    weight_decay : float >= 0, default 0
    optimizer_options : mapping, optional
        Its other parameters, such as ``{"betas": (0.9, 0.99)}``.
    schedule : str, optional
        Id of a schedule over all steps, such as "lr-cosine".
    schedule_options : mapping, optional
        Its parameters.
    clip_norm, clip_norm_each, clip_value : float > 0, optional
        Clip the global norm of the gradient, the norm of each tensor, or each value.
    ema : float in (0, 1), optional
        Predict with a moving average of the weights of this decay.
    validation_fraction : float in [0, 1), default 0
        Share of the rows that is held out to watch the loss, stratified by class.
    patience : int >= 0, optional
        Stop after so many epochs without improvement there, and go back to the best weights.
    device, precision : str, optional
        See :class:`~fivefold.engine.trainer.Trainer`; "64-true" computes in float64, all else keeps float32 weights.
    random_state : int, NumPy generator or None, default 0

    Attributes
    ----------
    classes_ : array (n_classes,)
    module_ : nn.Module
        The trained network.
    schema_ : NetworkSchema
    history_ : list of dict, one an epoch
    n_iter_ : int
        Epochs run.

    Raises
    ------
    DataError
        For missing values, a single class, too few rows.
    SpecError
        For a parameter out of range.

    Notes
    -----
    Binary problems have one output (the logit of the second class), others one for each class. A subclass may write
    ``def __init__(self, own=..., **common)``; all parameters are then seen by scikit-learn's tools.
    """

    _stratified = True

    def usual_objective(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the cross-entropy, one number a row."""
        if self.schema_.task == "binary":
            return lambda outputs, y: nn.functional.binary_cross_entropy_with_logits(
                outputs.squeeze(1), y.to(outputs.dtype), reduction="none"
            )
        return lambda outputs, y: nn.functional.cross_entropy(outputs, y, reduction="none")

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on rows X, shape (n, n_features), and their classes y, shape (n,)."""
        self._check_settings()
        rows, labels = self._check_x(X, True, y)
        try:
            labels = column_or_1d(labels, warn=True)
            check_classification_targets(labels)
        except ValueError as error:
            raise DataError(_first_line(error)) from error
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"{type(self).__name__} needs at least 2 classes, but y holds one class only: {str(self.classes_[0])!r}."
            )
        weight = _weights(sample_weight, rows)
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        outputs = 1 if task == "binary" else len(self.classes_)
        schema = NetworkSchema(rows.shape[1:], outputs, task, self._dtype_name())
        self._train(rows, codes.astype(np.int64), weight, schema)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Return the logits: shape (n,) for two classes, (n, n_classes) for more."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self.schema_.task == "binary" else outputs

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Return the probability of each class, shape (n, n_classes); rows sum to 1."""
        outputs = torch.from_numpy(self._outputs(X).astype(np.float64))
        if self.schema_.task == "binary":
            second = torch.sigmoid(outputs[:, 0])
            return torch.stack([1 - second, second], dim=1).numpy()
        return torch.softmax(outputs, dim=1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row, shape (n,)."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


class NeuralRegressor(RegressorMixin, NeuralEstimator):
    r"""Base of neural regressors: subclass it and define ``build``.

    .. math:: \min_\theta \frac{\sum_i w_i \lVert f(x_i; \theta) - y_i \rVert^2 / k}{\sum_i w_i}, \quad
        k \text{ the number of targets}

    Parameters
    ----------
    scale_target : bool, default True
        Train on (y - mean) / standard deviation and scale predictions back, so that learning rates do not depend on the
        unit of y.
    others
        As for :class:`NeuralClassifier`.

    Attributes
    ----------
    module_, schema_, history_, n_iter_
        As for :class:`NeuralClassifier`.
    target_mean_, target_scale_ : array (n_targets,)

    Raises
    ------
    DataError
        For missing values or too few rows.
    SpecError
        For a parameter out of range.
    """

    def __init__(self, *, scale_target: bool = True, **common: Any) -> None:
        super().__init__(**common)
        self.scale_target = scale_target

    def usual_objective(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the squared error, averaged over the targets, one number a row."""
        return lambda outputs, y: (outputs - y).square().mean(1)

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on rows X, shape (n, n_features), and targets y, shape (n,) or (n, n_targets)."""
        self._check_settings()
        rows, targets = self._check_x(X, True, y, multi_output=True, y_numeric=True)
        targets = np.asarray(targets, dtype=np.float64)
        self._refuse_missing(targets, "y")
        self._flat = targets.ndim == 1
        targets = targets.reshape(len(targets), -1)  # (n, targets)
        weight = _weights(sample_weight, rows)
        self.target_mean_, self.target_scale_ = np.zeros(targets.shape[1]), np.ones(targets.shape[1])
        if self.scale_target:
            self.target_mean_ = np.average(targets, axis=0, weights=weight)
            spread = np.sqrt(np.average((targets - self.target_mean_) ** 2, axis=0, weights=weight))
            # A constant target has no spread to divide by.
            self.target_scale_ = np.where(spread > 1e-12 * np.abs(self.target_mean_), spread, 1.0)
        scaled = (targets - self.target_mean_) / self.target_scale_
        schema = NetworkSchema(rows.shape[1:], targets.shape[1], "regression", self._dtype_name())
        self._train(rows, scaled.astype(rows.dtype), weight, schema)
        return self

    _stored = ("_flat",)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the predicted targets, in the shape that ``fit`` was given."""
        found = self._outputs(X).astype(np.float64) * self.target_scale_ + self.target_mean_
        return found[:, 0] if self._flat else found


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    hint = next((line for line in lines[1:] if line.startswith("Reshape your data")), "")
    return " ".join(part for part in (lines[0].split(", got 1D array instead")[0].strip(), hint) if part)


def _weights(sample_weight: Any, rows: NDArray[Any]) -> NDArray[Any] | None:
    if sample_weight is None:
        return None
    try:
        weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    except ValueError as error:
        raise DataError(_first_line(error)) from error
    total = float(weight.sum())
    if not math.isfinite(total) or total == 0:
        raise DataError("sample_weight must hold at least one positive, finite weight.")
    return weight
