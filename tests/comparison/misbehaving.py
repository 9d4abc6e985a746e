"""Methods that misbehave, each in its own way; the tests install them as a plug-in would be."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin

from fivefold.base.estimator import Estimator

MODES = ("sleeps", "hoards", "raises", "answers-nan", "answers-short")


class Misbehaving(ClassifierMixin, Estimator):
    """Do what ``mode`` says instead of learning."""

    def __init__(self, mode: str = "raises") -> None:
        self.mode = mode

    def fit(self, X: Any, y: Any) -> Self:
        """Sleep in C, take 64 GiB, raise, or pretend."""
        if self.mode == "sleeps":
            ctypes.CDLL(ctypes.util.find_library("c")).sleep(600)
        if self.mode == "hoards":
            self.hoard = np.zeros(2**36, dtype=np.uint8)
        if self.mode == "raises":
            raise ZeroDivisionError("no luck today")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Answer NaN, or a row less than asked."""
        rows = len(X) - (self.mode == "answers-short")
        value = np.nan if self.mode == "answers-nan" else 1 / len(self.classes_)
        return np.full((rows, len(self.classes_)), value)

    def predict(self, X: Any) -> np.ndarray:
        """Answer the first class."""
        return np.full(len(X), self.classes_[0])


def install(directory: Path) -> None:
    """Write a distribution with the cards of these methods below ``directory``, as pip would leave it."""
    package = directory / "misbehaving_cards"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf8")
    tables = [
        f'["{mode}"]\ntitle = "{mode}"\nkind = "classifier"\nsummary = "Misbehaves."\ntask = ["binary"]\n'
        f'supervision = "supervised"\nfactory = "{__name__}:Misbehaving"\nrecipe = "ordinal"\n'
        f'defaults = {{ mode = "{mode}" }}\n'
        for mode in MODES
    ]
    (package / "cards.toml").write_text("\n".join(tables), encoding="utf8")
    info = directory / "misbehaving_cards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving-cards\nVersion: 1.0\n", encoding="utf8")
    entry = "[fivefold.cards]\nmisbehaving = misbehaving_cards:cards.toml\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf8")
