"""Estimators follow scikit-learn's protocol and save themselves through the codec."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError as _SklearnNotFittedError

from . import codec
from .errors import ArtifactError, FivefoldError


class NotFittedError(FivefoldError, _SklearnNotFittedError):
    """An estimator that was asked for an answer before ``fit``."""


class Estimator(codec.Stateful, BaseEstimator):
    """Base of every estimator: parameters are stored untouched in ``__init__``, fitted attributes end in ``_``.

    A subclass adds scikit-learn's mixins (``ClassifierMixin`` …) to its left. Fitted attributes that do not end in ``_`` but
    are needed after loading are listed in ``_stored``; those that can be rebuilt are named in ``_rebuilt`` and made again by
    ``_rebuild()``.

    Parameters that several classes share stand in the ``__init__`` and the docstring of their base alone: a subclass takes
    them as ``**common``, hands these to the base, and shows all of them as its own.
    """

    _stored: tuple[str, ...] = ()
    _rebuilt: tuple[str, ...] = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _show_common(cls)

    def get_state(self) -> dict[str, Any]:
        """Return parameters and fitted attributes."""
        fitted = {
            name: value
            for name, value in vars(self).items()
            if (name.endswith("_") and not name.startswith("__") or name in self._stored) and name not in self._rebuilt
        }
        return {"params": self.get_params(deep=False), "fitted": fitted}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Build an estimator from what :meth:`get_state` returned."""
        known = set(inspect.signature(cls.__init__).parameters)
        unknown = sorted(set(state["params"]) - known)
        if unknown:
            raise ArtifactError(
                f"The saved {cls.__name__} has the parameter {unknown[0]!r}, which this version does not know."
            )
        self = cls(**state["params"])
        for name, value in state["fitted"].items():
            setattr(self, name, value)
        self._rebuild()
        return self

    def _rebuild(self) -> None:
        """Make again what is not stored, such as a search tree."""

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Save to a directory of JSON and safetensors; the opposite of :func:`fivefold.load`."""
        return codec.save(self, directory)

    def _check_fitted(self) -> None:
        """Raise :class:`NotFittedError` unless an attribute that ``fit`` sets is there."""
        if not any(name.endswith("_") and not name.startswith("_") for name in vars(self)):
            raise _not_fitted(self)


def require_fitted(estimator: Any, attribute: str) -> None:
    """Raise :class:`NotFittedError` unless ``fit`` has set an attribute, the last that it sets."""
    if not hasattr(estimator, attribute):
        raise _not_fitted(estimator)


def _not_fitted(estimator: Any) -> NotFittedError:
    return NotFittedError(f"This {type(estimator).__name__} is not fitted yet; call `fit` before using it.")


def _show_common(cls: Any) -> None:
    """Let ``__init__(self, own, **common)`` show every parameter, as scikit-learn's protocol reads them."""
    own = cls.__dict__.get("__init__")
    mine = inspect.signature(own).parameters if own is not None else {}
    if "common" not in mine:
        return
    kept = [p for p in mine.values() if p.name != "common"]
    common = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(super(cls, cls).__init__).parameters.values()
        if p.name not in mine and p.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    own.__signature__ = inspect.Signature([*kept, *common])
