"""A method on a table: schema → the recipe of its card, fitted on the training rows → the estimator → predictions with names.

Labels are kept as text and handed to the estimator as codes 0 … K−1, so every classifier sees the same problem whatever the
labels look like.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from fivefold.base.cards import Card
from fivefold.base.codec import Stateful
from fivefold.base.errors import CapabilityError, DataError, SpecError, TrainingError
from fivefold.base.names import nearest, resolve
from fivefold.base.random import Streams
from fivefold.data.resample import STRATEGIES, class_shares, correct_prior
from fivefold.data.resample import resample as resampled_rows

from .baseline import BASELINE


def label_texts(column: pl.Series) -> pl.Series:
    """Return labels as text: whole numbers without a decimal point, booleans as "false" and "true"; missing stays missing."""
    if column.dtype.is_float():
        finite = column.drop_nulls().drop_nans()
        column = column.fill_nan(None)
        if len(finite) and bool((finite == finite.round()).all()) and float(finite.abs().max()) < 2**53:  # type: ignore[arg-type]
            column = column.cast(pl.Int64)
    return column.cast(pl.String)


def class_texts(schema: Any, frame: pl.DataFrame) -> list[str]:
    """Return the labels as text, in the sorted order of the schema, or of the rows where the schema knows none."""
    known = list(schema.classes)
    values = pl.Series(known) if known else frame[schema.target.name].drop_nulls().unique().sort()
    return [str(text) for text in label_texts(values)]


def target_vector(frame: pl.DataFrame, schema: Any, classes: Sequence[str] | None) -> np.ndarray:
    """Return the target as codes of ``classes`` (int64), or as numbers (float64) when there are none.

    Raises
    ------
    DataError
        When targets are missing, not finite or of a class that ``classes`` does not hold.
    """
    name = schema.target.name
    column = frame[name]
    missing = column.null_count() + (int(column.is_nan().sum()) if column.dtype.is_float() else 0)
    if missing:
        raise DataError(
            f"The target {name!r} is missing in {missing:,} of {len(frame):,} rows; remove these rows, "
            "or fill them in if you know their values."
        )
    if classes is None:
        try:
            values = column.cast(pl.Float64).to_numpy()
        except pl.exceptions.PolarsError as error:
            raise DataError(f"The target {name!r} is not a number in every row: {error}.") from error
        if not np.isfinite(values).all():
            raise DataError(f"The target {name!r} is infinite in {int((~np.isfinite(values)).sum()):,} rows.")
        return np.array(values)
    codes = label_texts(column).replace_strict(
        list(classes), list(range(len(classes))), default=None, return_dtype=pl.Int64
    )
    if codes.null_count():
        strange = label_texts(column).filter(codes.is_null())[0]
        raise DataError(f"The target {name!r} holds {strange!r}, which is not among the classes {', '.join(classes)}.")
    return np.array(codes.to_numpy())


def resolve_params(card: Card, variant: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters a run sets: the card's ``defaults`` (those of the variant, if given apart), then ``params``."""
    defaults = dict(card.defaults)
    if defaults and set(defaults) <= set(card.factory) and all(isinstance(v, Mapping) for v in defaults.values()):
        defaults = dict(defaults.get(variant, {}))
    return {**defaults, **params}


def _accepts(function: Any, name: str) -> bool:
    return name in inspect.signature(function).parameters


def build(card: Card, variant: str, params: Mapping[str, Any], seed: int) -> Any:
    """Return the unfitted estimator with its resolved parameters and, where it draws, its seed."""
    factory = card.load(variant)
    known = inspect.signature(factory).parameters
    values = resolve_params(card, variant, params)
    for name in values:
        if name not in known:
            hint = ", ".join(nearest(name, known)) or "none"
            raise SpecError(f"{card.id} has no parameter {name!r}; did you mean one of: {hint}?")
    if "random_state" in known and "random_state" not in values:
        values["random_state"] = Streams(seed).integer(f"method/{card.id}") % 2**31
    return factory(**values)


class TableModel(Stateful):
    """A fitted method together with the schema and the recipe that lead from a table to it; made by :func:`fit_table`.

    Attributes
    ----------
    method, variant : str
        Id of the card and its variant.
    schema, recipe, model
        What the columns are, how they become numbers, and the fitted estimator.
    classes : list of str or None
        Labels in the order of the probabilities; None for regression.
    resampled : str
        How the training rows were resampled; empty when they were not.
    trained_shares, true_shares : list of float or None
        Shares of the classes that the fit saw, after and before resampling.
    """

    resampled: str = ""
    trained_shares: list[float] | None = None
    true_shares: list[float] | None = None

    def __init__(
        self,
        *,
        method: str,
        variant: str,
        schema: Any,
        recipe: Any,
        model: Any,
        classes: list[str] | None,
        seen: list[int] | None,
        target_type: str,
        resampled: str = "",
        trained_shares: list[float] | None = None,
        true_shares: list[float] | None = None,
    ) -> None:
        self.method = method
        self.variant = variant
        self.schema = schema
        self.recipe = recipe
        self.model = model
        self.classes = classes
        self.seen = seen
        self.target_type = target_type
        self.resampled = resampled
        self.trained_shares = trained_shares
        self.true_shares = true_shares

    @property
    def probabilistic(self) -> bool:
        """Whether predictions come with class probabilities."""
        return self.classes is not None and hasattr(self.model, "predict_proba")

    def describe(self) -> str:
        """Return what becomes of every column and, where training rows were resampled, what that does to the answers."""
        text = "Looks at no column." if self.recipe is None else str(self.recipe.describe())
        if not self.resampled or self.classes is None or self.trained_shares is None or self.true_shares is None:
            return text
        seen = self.seen if self.seen is not None else range(len(self.classes))
        shares = ", ".join(
            f"{self.classes[k]} {true:.3g} to {trained:.3g}"
            for k, true, trained in zip(seen, self.true_shares, self.trained_shares)
        )
        after = (
            "probabilities are corrected back to the shares before, labels are those of the resampled fit"
            if self.probabilistic
            else "labels are those of the resampled fit"
        )
        return f"{text}\nResampling of the training rows only, after the recipe ({self.resampled}): shares {shares}; {after}."

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Predict every row of a table, in its order.

        After a fit on resampled rows the probabilities are corrected to the class shares before resampling (see
        :func:`fivefold.data.resample.correct_prior`), while ``prediction`` stays the label that the method gives under the
        resampled shares, which is what resampling is for; so the label need not be the one with the largest probability.

        Parameters
        ----------
        frame : polars.DataFrame
            Holds at least the feature columns of the schema, in any order; others are ignored.

        Returns
        -------
        polars.DataFrame
            ``prediction`` (in the type of the target) and, for a classifier with probabilities, ``probability_<class>``.

        Raises
        ------
        DataError
            When feature columns are missing; the message names all of them.
        TrainingError
            When the method answers with the wrong number of rows, NaN, or probabilities that are none.
        """
        if self.schema.target is not None and self.schema.target.name in frame.columns:
            frame = frame.drop(self.schema.target.name)  # whatever stands there, a prediction does not depend on it
        X = np.empty((len(frame), 0)) if self.recipe is None else self.recipe.transform(self.schema.select(frame))
        if self.classes is None:
            values = np.asarray(self.model.predict(X), dtype=np.float64)
            self._check(values, (len(frame),), "predictions")
            return pl.DataFrame({"prediction": values})
        known = self.seen if self.seen is not None else list(range(len(self.classes)))
        if not self.probabilistic:
            codes = np.asarray(self.model.predict(X))
            self._check(codes, (len(frame),), "predictions")
            return pl.DataFrame({"prediction": self._labels(np.asarray(known)[codes.astype(np.int64)])})
        given = np.asarray(self.model.predict_proba(X), dtype=np.float64)
        self._check(given, (len(frame), len(known)), "probabilities")
        off = float(np.abs(given.sum(axis=1) - 1).max(initial=0.0))
        if given.min(initial=0.0) < -1e-9 or off > 1e-5:
            raise TrainingError(
                f"{self.method} answered with probabilities that are none: the smallest is {given.min():.3g} "
                f"and a row's sum is off one by {off:.3g}."
            )
        if self.trained_shares is not None and self.true_shares is not None:
            given = correct_prior(np.maximum(given, 0.0), self.trained_shares, self.true_shares)
        full = np.zeros((len(frame), len(self.classes)))
        full[:, known] = given
        codes = np.asarray(known)[np.asarray(self.model.predict(X)).astype(np.int64)]
        columns = {f"probability_{name}": full[:, k] for k, name in enumerate(self.classes)}
        return pl.DataFrame({"prediction": self._labels(codes), **columns})

    def _labels(self, codes: np.ndarray) -> pl.Series:
        if self.classes is None:
            raise CapabilityError(f"{self.method} is a regressor and has no labels.")
        texts = pl.Series("prediction", self.classes).gather(codes)
        if self.target_type == "boolean":
            return texts == "true"
        return texts.cast(pl.Int64) if self.target_type == "integer" else texts

    def _check(self, values: np.ndarray, shape: tuple[int, ...], what: str) -> None:
        if values.shape != shape:
            raise TrainingError(f"{self.method} answered with {what} of shape {values.shape} where {shape} was asked.")
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise TrainingError(f"{self.method} answered with {bad:,} {what} that are not finite (NaN or infinite).")


def check_preparation(
    card: Card,
    *,
    recipe: str | None = None,
    encode: str = "auto",
    select: int | None = None,
    resample: str | None = None,
) -> None:
    """Refuse preparation that a method cannot be given, before anything is fitted.

    Raises
    ------
    SpecError
        For a method that takes columns as fields: another recipe, ``encode``, ``select`` and ``resample="smote"``, which all
        speak of a matrix; for the other methods: the recipe of fields.
    """
    from fivefold.data.recipes_fields import FIELDS

    if card.kind != "ctr-model":
        if recipe == FIELDS:
            raise SpecError(f"The recipe {FIELDS!r} is for models of click logs; {card.id} takes a matrix of numbers.")
        return
    asked = {
        f"the recipe {recipe!r}": recipe not in (None, FIELDS),
        f"encode {encode!r}": encode != "auto",
        f"select {select}": select is not None,
        "resample 'smote'": resample == "smote",
    }
    wrong = next((text for text, given in asked.items() if given), None)
    if wrong is not None:
        raise SpecError(
            f"{card.id} takes the columns as they are and embeds them itself, so {wrong} does not apply; leave out the option or "
            "the method."
        )


def trained_weights(model: Any) -> int | None:
    """Return how many numbers a fitted method has learned, or None where it cannot tell."""
    count = getattr(model, "n_parameters_", None)
    if count is not None:
        return int(count)
    module = getattr(model, "module_", None)
    if module is not None:
        return sum(int(p.numel()) for p in module.parameters())
    coefficients = getattr(model, "coef_", None)
    if coefficients is None:
        return None
    return int(np.size(coefficients) + np.size(getattr(model, "intercept_", ())))


def fit_table(
    card: Card,
    frame: pl.DataFrame,
    schema: Any,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    variant: str | None = None,
    classes: Sequence[str] | None = None,
    recipe: str | None = None,
    encode: str = "auto",
    select: int | None = None,
    resample: str | None = None,
    groups: Any = None,
) -> TableModel:
    """Fit a method to a table: its card's recipe and the estimator, both on these rows only.

    Parameters
    ----------
    card : Card
        Of a classifier, a regressor or a model of click logs; the last gets the columns as fields instead of a matrix.
    frame : polars.DataFrame
        The training rows, target included, as :func:`fivefold.data.infer.infer_schema` returned them.
    schema : Schema
        Its target says what is learned, its task which variant of the method does it.
    params : mapping, optional
        Parameters of the method, over the card's ``defaults``.
    seed : int, default 0
        Seed of a method that draws.
    variant : str, optional
        Variant of the method; by default the one of the task.
    classes : sequence of str, optional
        All labels in the order wanted, where the rows may lack some; by default those of the rows.
    recipe : str, optional
        Preprocessing in place of the card's; not for models of click logs.
    encode : {"auto", "one-hot", "target", "hash"}, default "auto"
        What becomes of categories with many levels; see :class:`fivefold.data.recipes.Recipe`.
    select : int >= 1, optional
        Keep only so many features, those with the largest F statistic on the training rows.
    resample : {"oversample", "undersample", "smote"}, optional
        Balance the classes of the training rows, after the recipe. Probabilities are corrected back; the baseline, which
        shows what the shares alone give, is fitted to the rows as they are.
    groups : int array of shape (n,), optional
        Rows of a group stay in one fold of the target encoding.

    Returns
    -------
    TableModel

    Raises
    ------
    CapabilityError
        When the method does not serve the task, or rows are weighted and it takes no weights.
    DataError
        When the target is missing somewhere or has one class only.
    SpecError
        Without target, for an unknown parameter, when the rows of a regression are to be resampled, and for what
        :func:`check_preparation` refuses.
    """
    from fivefold.data.recipes import Recipe
    from fivefold.data.recipes_fields import FieldRecipe

    if schema.target is None:
        raise SpecError("The schema names no target; give the column to be predicted.")
    if schema.task not in card.task:
        raise CapabilityError(
            f"{card.id} serves {', '.join(card.task)}; the target {schema.target.name!r} asks for {schema.task}."
        )
    if resample is not None and schema.task == "regression":
        raise SpecError(
            f"Resampling ({resample}) balances classes, but the target {schema.target.name!r} is a number; leave it out."
        )
    if resample is not None:
        resample = resolve(resample, STRATEGIES, "resampling strategy")
    check_preparation(card, recipe=recipe, encode=encode, select=select, resample=resample)
    chosen = card.variant(variant, schema.task)
    labels: list[str] | None = None
    if schema.task != "regression":
        labels = list(classes) if classes is not None else class_texts(schema, frame)
    y = target_vector(frame, schema, labels)
    seen: list[int] | None = None
    if labels is not None:
        present, y = np.unique(y, return_inverse=True)
        seen = [int(k) for k in present]
        if len(seen) < 2 and card.id != BASELINE:
            raise DataError(
                f"The target {schema.target.name!r} has the one class {labels[seen[0]]!r} in these {len(frame):,} rows; "
                "there is nothing to tell apart."
            )
    values = dict(params or {})
    build(card, chosen, values, seed)  # a wrong parameter is told before the recipe is fitted
    # The baseline looks at no feature, so it is there even for a table without usable ones.
    steps: Any = None
    X: Any = np.empty((len(frame), 0))
    if card.kind == "ctr-model":
        steps = FieldRecipe(schema)
        X = steps.fit_transform(frame)
        values = {"features": steps.features_, "task": schema.task, **values}
    elif card.id != BASELINE:
        drawn = Streams(seed).integer("recipe") % 2**31
        steps = Recipe(recipe or card.recipe, schema, encode=encode, select=select, random_state=drawn)
        # Not fit and transform: a training row must not see its own target in its features.
        X = steps.fit_transform(frame, y, classes=None if seen is None else len(seen), groups=groups)
        if steps.categorical_mask_.any() and _accepts(card.load(chosen), "categorical_features"):
            values.setdefault("categorical_features", np.flatnonzero(steps.categorical_mask_))
    estimator = build(card, chosen, values, seed)
    weights = _weights(card, estimator, frame, schema)
    shares: dict[str, Any] = {}
    if resample is not None and seen is not None and card.id != BASELINE:
        shares["resampled"] = STRATEGIES[resample]
        before = class_shares(y, len(seen), weights)
        if labels is not None and not before.all():
            raise DataError(
                f"The class {labels[seen[int(before.argmin())]]!r} of the target {schema.target.name!r} has no weight in the "
                "training rows, so the classes cannot be balanced; leave out these rows or the resampling."
            )
        shares["true_shares"] = before.tolist()
        drawn_rows = Streams(seed).child("resample")
        if resample == "smote":
            X, y = _with_synthetic_rows(X, y, steps, weights, drawn_rows)
        else:
            rows = resampled_rows(y, strategy=resample, random_state=drawn_rows, sample_weight=weights)
            X, y, weights = X[rows], y[rows], None if weights is None else weights[rows]
        shares["trained_shares"] = class_shares(y, len(seen), weights).tolist()
    if weights is None:
        estimator.fit(X, y)
    else:
        estimator.fit(X, y, sample_weight=weights)
    return TableModel(
        method=card.id,
        variant=chosen,
        schema=schema,
        recipe=steps,
        model=estimator,
        classes=labels,
        seen=seen,
        target_type=_type_of(frame[schema.target.name]) if labels is not None else "number",
        **shares,
    )


def _with_synthetic_rows(
    X: np.ndarray, y: np.ndarray, recipe: Any, weights: np.ndarray | None, random_state: Streams
) -> tuple[np.ndarray, np.ndarray]:
    from fivefold.data.smote import SMOTE

    if weights is not None:
        raise SpecError("SMOTE gives its synthetic rows no weight; resample with oversample, or leave out the weights.")
    blocks = recipe.nominal_blocks() or None
    grown, labels = SMOTE(categorical_features=blocks, random_state=random_state).fit_resample(X, y)
    return np.asarray(grown), labels


def weight_column(schema: Any) -> str | None:
    """Return the name of the column that weighs the rows, if there is one."""
    return next((column.name for column in schema.columns if column.role == "weight"), None)


def _weights(card: Card, estimator: Any, frame: pl.DataFrame, schema: Any) -> np.ndarray | None:
    name = weight_column(schema)
    if name is None:
        return None
    if not _accepts(estimator.fit, "sample_weight"):
        raise CapabilityError(f"{card.id} takes no row weights; leave out the weight column {name!r} or the method.")
    return np.array(frame[name].cast(pl.Float64).to_numpy())


def _type_of(column: pl.Series) -> str:
    if column.dtype == pl.Boolean:
        return "boolean"
    texts = label_texts(column)
    return "integer" if column.dtype.is_numeric() and texts.str.contains(r"^-?\d+$").all() else "text"
