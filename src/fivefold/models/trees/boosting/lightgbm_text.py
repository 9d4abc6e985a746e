"""LightGBM's text model: reading it into our estimators and writing ours so that LightGBM reads them.

The file is a header of ``key=value`` lines, one block a tree, ``end of trees``, importances and parameters. A tree with L
leaves numbers its L - 1 inner nodes from the root 0; a child c >= 0 is an inner node, c < 0 the leaf ``~c``. The bits of a
node's ``decision_type`` are 1 for a categorical split, 2 for missing values to the left and, times 4, what counts as missing:
0 nothing (NaN is read as 0), 1 zero and NaN, 2 NaN. A categorical split holds in ``threshold`` which of the bit sets
``cat_threshold[cat_boundaries[i]:cat_boundaries[i + 1]]`` of 32-bit words goes left. The start score is part of the first
trees' leaves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fivefold.base.errors import DataError, FivefoldError, InputError, InputTypeError
from fivefold.base.estimator import require_fitted
from fivefold.base.files import write_text

from . import _losses as losses
from ._boosted import Boosted
from ._foreign import ForeignColumns
from ._ranking import LambdaRank
from ._tables import Columns
from ._tasks import BoostedClassifier
from ._trees import Trees
from .lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_ZERO, _NAN = 1, 2
_REGRESSION = ("regression", "regression_l1", "huber", "quantile", "poisson", "gamma", "tweedie")
_KNOWN = (*_REGRESSION, "binary", "multiclass", "lambdarank", "rank_xendcg", "none")
_PARAMETERS = {
    "num_leaves": int, "max_depth": int, "learning_rate": float, "min_data_in_leaf": int, "min_sum_hessian_in_leaf": float,
    "lambda_l1": float, "lambda_l2": float, "min_gain_to_split": float, "max_delta_step": float, "bagging_fraction": float,
    "bagging_freq": int, "feature_fraction": float, "feature_fraction_bynode": float, "max_bin": int, "min_data_in_bin": int,
    "max_cat_to_onehot": int, "max_cat_threshold": int, "min_data_per_group": int, "cat_smooth": float, "cat_l2": float,
    "scale_pos_weight": float, "alpha": float, "tweedie_variance_power": float, "poisson_max_delta_step": float,
}  # fmt: skip


def read_lightgbm(source: Any) -> Any:
    """Return our fitted estimator for a model of LightGBM: the same predictions.

    Parameters
    ----------
    source : path, str, lightgbm.Booster or a fitted estimator of LightGBM
        A path to a saved model, its text, or the model itself, whose best iteration and classes are kept.

    Returns
    -------
    LGBMRegressor, LGBMClassifier or LGBMRanker
        As the objective says. Without class labels in the source, classes are 0 ... K - 1. A frame is read as LightGBM reads it:
        the values of categorical columns of pandas are matched by value.

    Raises
    ------
    DataError
        Text that is no such model, linear trees, or an objective without counterpart here.

    Examples
    --------
    >>> text = write_lightgbm(LGBMRegressor(n_estimators=2, min_child_samples=1).fit([[0.0], [1.0]], [0.0, 4.0]))
    >>> read_lightgbm(text).predict([[0.2], [0.9]]).round(2).tolist()
    [1.62, 2.38]
    """
    text, best, classes = _text_of(source)
    try:
        return _model(text, best, classes)
    except FivefoldError:
        raise
    except (ValueError, LookupError, ArithmeticError) as error:
        raise DataError(f"The LightGBM model is damaged; save it again ({type(error).__name__}: {error}).") from error


def _model(text: str, best: int, classes: np.ndarray | None) -> Any:
    """Return our estimator for the text of a model."""
    header, blocks, parameters, levels = _parsed(text)
    K = int(header["num_tree_per_iteration"])
    if len(blocks) % K != 0:
        raise DataError(f"The LightGBM model has {len(blocks)} trees for {K} outputs; it is cut off or damaged.")
    model, loss = _estimator(header.get("objective", "none").split(), parameters, K, classes)
    names = header["feature_names"].split()
    d = int(header["max_feature_idx"]) + 1
    if len(names) != d:
        raise DataError(f"The LightGBM model names {len(names)} columns and counts {d}; it is damaged.")
    model.columns_ = ForeignColumns.read(blocks, header, levels)
    categories = model.columns_.categories
    trees = Trees(K, np.zeros(K), categories)
    factor = K / len(blocks) if "average_output" in header and blocks else 1.0
    trees.extend([_tree(block, model.columns_, factor) for block in blocks])
    model.trees_, model.loss_, model.n_features_in_ = trees, loss, d
    model.shrinkage_ = np.array([float(block.get("shrinkage", 1)) for block in blocks])
    model.n_estimators_ = len(blocks) // K
    model.set_params(n_estimators=max(1, model.n_estimators_))
    model.best_iteration_ = best if best > 0 else None
    model.best_score_, model.evals_result_ = None, {}
    if names != [f"Column_{f}" for f in range(d)]:
        model.feature_names_in_ = np.array(names, dtype=object)
    return model


def _text_of(source: Any) -> tuple[str, int, np.ndarray | None]:
    """Return the text of a model, its best iteration (0: none) and its class labels."""
    classes = getattr(source, "classes_", None)
    source = getattr(source, "booster_", source)
    if hasattr(source, "model_to_string"):
        return source.model_to_string(num_iteration=-1), int(source.best_iteration), classes
    if isinstance(source, str) and source.lstrip().startswith("tree\n"):
        return source, 0, None
    if not isinstance(source, (str, Path)):
        raise InputTypeError(
            f"`source` is a {type(source).__name__}; give a path, the text of a LightGBM model or a lightgbm.Booster."
        )
    try:
        return Path(source).read_text(encoding="utf-8"), 0, None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"The LightGBM model {str(source)[:200]!r} cannot be read: {error}.") from error


def _parsed(text: str) -> tuple[dict[str, str], list[dict[str, str]], dict[str, str], Any]:
    """Return the header, the blocks of the trees, the parameters and the categories of pandas of a model's text."""
    lines = iter(text.splitlines())
    if next(lines, "").strip() != "tree":
        raise DataError("The text is no LightGBM model: its first line is not 'tree'.")
    header: dict[str, str] = {}
    blocks: list[dict[str, str]] = []
    here, ended = header, False
    for line in lines:
        if line.startswith("Tree="):
            here = {}
            blocks.append(here)
        elif line.strip() == "end of trees":
            ended = True
            break
        elif line.strip():
            key, _, value = line.partition("=")
            here[key] = value
    lacking = [k for k in ("num_tree_per_iteration", "max_feature_idx", "feature_names") if k not in header]
    if not ended or lacking:
        what = f"lacks {lacking[0]!r}" if lacking else "is cut off before 'end of trees'"
        raise DataError(f"The LightGBM model {what}; save it again.")
    parameters: dict[str, str] = {}
    levels = None
    for line in lines:
        if line.startswith("["):
            key, _, value = line.strip("[]").partition(":")
            parameters[key] = value.strip()
        elif line.startswith("pandas_categorical:"):
            levels = json.loads(line.partition(":")[2])
    return header, blocks, parameters, levels


def _estimator(
    objective: list[str], parameters: dict[str, str], K: int, classes: np.ndarray | None
) -> tuple[Any, losses.Loss]:
    """Return an unfitted estimator with the settings of the model, and its loss."""
    name, facts = objective[0], dict(part.partition(":")[::2] for part in objective[1:])
    plain = "sqrt" not in objective and float(facts.get("sigmoid", 1)) == 1
    if name not in _KNOWN or not plain:
        raise DataError(
            f"The objective {' '.join(objective)!r} of the LightGBM model has no counterpart; known are {', '.join(_KNOWN)} "
            "(sigmoid 1, without sqrt)."
        )
    settings = {key: kind(parameters[key]) for key, kind in _PARAMETERS.items() if key in parameters}
    if name in ("lambdarank", "rank_xendcg"):
        return LGBMRanker(**settings), LambdaRank(np.ones(1, dtype=np.int64))
    if name in ("binary", "multiclass"):
        n_classes = 2 if name == "binary" else K
        model = LGBMClassifier(objective=name, **settings)
        model.classes_ = np.arange(n_classes) if classes is None else np.asarray(classes)
        model.n_classes_ = n_classes
        return model, losses.Logistic() if name == "binary" else losses.Softmax(n_classes)
    if K != 1:
        raise DataError(f"The LightGBM model has {K} outputs and the objective {name!r}; K outputs need 'multiclass'.")
    regressor = LGBMRegressor(objective=None if name == "none" else name, **settings)
    return regressor, regressor._regression_loss()


def _numbers(block: dict[str, str], key: str, kind: Any = np.float64) -> np.ndarray:
    return np.array(block.get(key, "").split(), dtype=np.float64).astype(kind)


def _tree(block: dict[str, str], columns: ForeignColumns, factor: float) -> dict[str, np.ndarray]:
    """Return the arrays of one tree as :meth:`Trees.extend` takes them."""
    L = int(block["num_leaves"])
    if int(block.get("is_linear", 0)):
        raise DataError("The LightGBM model has linear trees; only constant leaves can be read.")
    inner = L - 1
    sizes = {
        "split_feature": inner,
        "threshold": inner,
        "decision_type": inner,
        "left_child": inner,
        "right_child": inner,
    }
    found = {key: _numbers(block, key) for key in (*sizes, "leaf_value")}
    for key, size in (sizes | {"leaf_value": L}).items():
        if len(found[key]) != size:
            raise DataError(f"A tree of the LightGBM model has {len(found[key])} numbers of {key!r}, not {size}.")
    ints = {key: found[key].astype(np.int64) for key in ("split_feature", "decision_type", "left_child", "right_child")}
    # Ours: the root first, the children of a node side by side.
    m = 2 * L - 1
    theirs, left = np.full(m, -1, dtype=np.int64), np.full(m, -1, dtype=np.int32)
    theirs[0] = 0 if inner else -1
    made = 1
    for node in range(m):
        if made <= node:
            raise DataError("A tree of the LightGBM model is not connected; it is damaged.")
        if theirs[node] >= 0:
            left[node] = made
            theirs[made], theirs[made + 1] = ints["left_child"][theirs[node]], ints["right_child"][theirs[node]]
            made += 2
            if made > m:
                raise DataError("A tree of the LightGBM model has a loop; it is damaged.")
    is_inner, at = theirs >= 0, np.maximum(theirs, 0)
    leaf = np.where(is_inner, 0, ~theirs)
    if not inner:
        at = np.zeros(1, dtype=np.int64)

    def both(inner_key: str, leaf_key: str) -> np.ndarray:
        inside, outside = _numbers(block, inner_key), _numbers(block, leaf_key)
        inside = inside if len(inside) == inner and inner else np.zeros(max(1, inner))
        outside = outside if len(outside) == L else np.zeros(L)
        return np.where(is_inner, inside[at], outside[leaf])

    def pick(values: np.ndarray, otherwise: Any) -> np.ndarray:
        return np.where(is_inner, values[at] if inner else otherwise, otherwise)

    kind = pick(ints["decision_type"], 0)
    feature, cut = pick(ints["split_feature"], -1), pick(found["threshold"], np.nan)
    by_level = is_inner & (kind & _CATEGORICAL != 0)
    # NaN is 0 where nothing counts as missing.
    missing_left = np.where(kind >> 2 == 0, cut >= 0, kind & _DEFAULT_LEFT != 0)
    offsets, words = columns.bits(block, feature, cut, by_level)
    return {
        "feature": feature,
        "bin": np.full(m, -1),
        "threshold": np.where(by_level, np.nan, cut),
        "missing_left": is_inner & ~by_level & missing_left,
        "left": left,
        "right": np.where(left >= 0, left + 1, -1),
        "value": factor * both("internal_value", "leaf_value"),
        "gain": pick(_numbers(block, "split_gain"), 0.0) if inner else np.zeros(m),
        "count": both("internal_count", "leaf_count"),
        "cover": both("internal_weight", "leaf_weight"),
        "level_offset": offsets,
        "levels": words,
    }


def write_lightgbm(model: Boosted, path: str | Path | None = None) -> str:
    """Return the text that LightGBM reads as the same model, and save it at ``path`` when one is given.

    Parameters
    ----------
    model : fitted boosting estimator
        Of any of our methods. All trees are written; those beyond the best iteration too.
    path : path, optional

    Returns
    -------
    str

    Raises
    ------
    DataError
        A categorical column of numbers whose levels are no whole numbers >= 0, which LightGBM cannot hold.

    Notes
    -----
    LightGBM predicts with the best iteration only when told: ``booster.predict(X, num_iteration=model.best_iteration_)``.
    """
    require_fitted(model, "trees_")
    trees, columns = model.trees_, model.columns_
    if len(trees) == 0:
        raise InputError("The model has no trees; fit at least one round before writing it.")
    codes = _codes(trees, columns)
    zeros = getattr(columns, "zero_is_missing", np.zeros(model.n_features_in_, dtype=bool))
    rates = getattr(model, "shrinkage_", None)
    if rates is None:
        # LightGBM takes the start score for a part of the first trees, which are not shrunk any more then.
        rates = np.full(len(trees), _settings(model).get("learning_rate", 1.0))
        rates[: trees.n_outputs][trees.base != 0] = 1.0
    blocks = [_block(trees, t, codes, zeros, rates[t]) for t in range(len(trees))]
    texts = [f"Tree={t}\n{block}\n\n" for t, block in enumerate(blocks)]
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        names = [f"Column_{f}" for f in range(model.n_features_in_)]
    infos = ["[-1e+308:1e+308]" if c is None else ":".join(map(str, np.sort(c))) or "none" for c in codes]
    K = trees.n_outputs
    head = {
        "version": "v4", "num_class": K, "num_tree_per_iteration": K, "label_index": 0,
        "max_feature_idx": model.n_features_in_ - 1, "objective": _objective(model),
        "feature_names": " ".join("_".join(str(name).split()) for name in names), "feature_infos": " ".join(infos),
        "tree_sizes": " ".join(str(len(text.encode())) for text in texts),
    }  # fmt: skip
    own = columns.levels if columns.names is not None else []
    frame = [np.asarray(levels).tolist() for levels in own if levels is not None]
    text = (
        "tree\n"
        + "".join(f"{key}={value}\n" for key, value in head.items())
        + "\n"
        + "".join(texts)
        + "end of trees\n\nfeature_importances:\n\nparameters:\n"
        + "".join(f"[{key}: {value}]\n" for key, value in _settings(model).items())
        + f"end of parameters\n\npandas_categorical:{json.dumps(frame) if frame else 'null'}\n"
    )
    if path is not None:
        write_text(path, text)
    return text


def _settings(model: Boosted) -> dict[str, Any]:
    """Return the parameters that both libraries have, under LightGBM's names."""
    own, aliases = model.get_params(deep=False), model._ALIASES
    found = {key: own.get(aliases.get(key, key)) for key in _PARAMETERS}
    return {key: value for key, value in found.items() if isinstance(value, (int, float))}


def _objective(model: Boosted) -> str:
    """Return the objective line whose link is that of the loss."""
    loss = model.loss_
    if isinstance(loss, losses.Softmax):
        return f"multiclass num_class:{loss.n_outputs}"
    if isinstance(loss, LambdaRank):
        return "lambdarank"
    if isinstance(model, BoostedClassifier):
        if loss.n_outputs > 1:
            return f"multiclass num_class:{loss.n_outputs}"
        return "binary sigmoid:2" if isinstance(loss, losses.Exponential) else "binary sigmoid:1"
    names = (
        (losses.Absolute, "regression_l1"), (losses.Quantile, "quantile"), (losses.Huber, "huber"),
        (losses.Poisson, "poisson"), (losses.Gamma, "gamma"), (losses.Tweedie, "tweedie"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(loss, kind)), "regression")


def _codes(trees: Trees, columns: Columns) -> list[np.ndarray | None]:
    """Return LightGBM's code of every bin of the categorical columns."""
    out: list[np.ndarray | None] = []
    for f, levels in enumerate(trees.categories):
        if levels is not None and ((levels < 0) | (levels != np.floor(levels)) | (levels > 2**31 - 2)).any():
            raise DataError(
                f"The categorical column {f} holds a level that is none; "
                "LightGBM's text model takes whole numbers from 0 to 2147483646."
            )
        out.append(None if levels is None else levels.astype(np.int64))
    return out


def _block(trees: Trees, t: int, codes: list[np.ndarray | None], zeros: np.ndarray, rate: float) -> str:
    """Return the lines of tree t."""
    part = slice(trees.offset[t], trees.offset[t + 1])
    feature, left = trees.feature[part], trees.left[part]
    inner, outer = np.flatnonzero(feature >= 0), np.flatnonzero(feature < 0)
    number = np.empty(len(feature), dtype=np.int64)
    number[inner], number[outer] = np.arange(len(inner)), ~np.arange(len(outer))
    by_level = trees.level_offset[part] >= 0
    kind = np.where(by_level, _CATEGORICAL, 0) | np.where(trees.missing_left[part], _DEFAULT_LEFT, 0)
    kind |= np.where(zeros[feature], _ZERO, _NAN) << 2
    value = trees.value[part].copy()
    if t < trees.n_outputs:
        value += trees.base[t]
    threshold = trees.threshold[part].copy()
    words: list[np.ndarray] = []
    for node in np.flatnonzero(by_level):
        bins, code = trees.level_offset[part][node], codes[feature[node]]
        held = np.arange(len(code)) if code is not None else np.empty(0, dtype=np.int64)
        inside = (trees.levels[bins + held // 64] >> (held % 64).astype(np.uint64)) & np.uint64(1) != 0
        chosen = code[inside] if code is not None else held
        bits = np.zeros(int(chosen.max(initial=0)) // 32 + 1, dtype=np.uint32)
        np.bitwise_or.at(bits, chosen // 32, np.uint32(1) << (chosen % 32).astype(np.uint32))
        threshold[node] = len(words)
        words.append(bits)
    lines: dict[str, Any] = {
        "num_leaves": len(outer),
        "num_cat": len(words),
        "split_feature": feature[inner],
        "split_gain": trees.gain[part][inner],
        "threshold": threshold[inner],
        "decision_type": kind[inner],
        "left_child": number[left[inner]],
        "right_child": number[left[inner] + 1],
        "leaf_value": value[outer],
        "leaf_weight": trees.cover[part][outer],
        "leaf_count": trees.count[part][outer],
        "internal_value": value[inner],
        "internal_weight": trees.cover[part][inner],
        "internal_count": trees.count[part][inner],
    }
    if words:
        lines["cat_boundaries"] = np.cumsum([0, *(len(w) for w in words)])
        lines["cat_threshold"] = np.concatenate(words)
    lines |= {"is_linear": 0, "shrinkage": float(rate)}
    return "\n".join(f"{key}={_line(value)}" for key, value in lines.items())


def _line(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return str(value)
    if value.dtype.kind == "f":
        # LightGBM has no infinite thresholds.
        return " ".join(repr(float(v)) for v in np.clip(value, -1e308, 1e308))
    return " ".join(map(str, value.tolist()))
