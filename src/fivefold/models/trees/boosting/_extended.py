"""Estimators with more parameters than those they refine."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def extends(parent: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give an ``__init__(self, *, own=..., **params)`` the signature of its own parameters and those of ``parent``.

    scikit-learn reads the parameters of an estimator from there.
    """

    def wrap(init: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(init).parameters
        theirs = inspect.signature(parent.__init__).parameters  # type: ignore[misc]
        named = {**theirs, **{name: p for name, p in own.items() if p.kind is p.KEYWORD_ONLY}}
        last = [name for name, p in named.items() if p.kind is p.VAR_KEYWORD]
        ordered = [p for name, p in named.items() if name not in last] + [named[name] for name in last]
        vars(init)["__signature__"] = inspect.Signature(ordered)
        return init

    return wrap
