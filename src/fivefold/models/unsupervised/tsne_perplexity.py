"""t-SNE that chooses its perplexity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fivefold.base.errors import InputError
from fivefold.base.estimator import require_fitted
from fivefold.base.random import Streams

from .tsne import TSNE


class AutoPerplexityTSNE(TSNE):
    r"""t-SNE at the perplexity with the least pseudo-BIC among several.

    .. math:: S(\mathrm{Perp}) = 2\, \mathrm{KL}(P \Vert Q) + \ln(n) \frac{\mathrm{Perp}}{n}

    Parameters
    ----------
    perplexities : sequence of float or None, default None
        Those to try; None is 5, 10, … 50, as far as they are below n / 3, or n / 3 alone.
    angle : float in [0, 1], default 0.5
        Of the tree, which serves more than 1000 rows in three dimensions.
    n_components, early_exaggeration, learning_rate, max_iter, exaggeration_iter, init, random_state
        As in :class:`TSNE`.

    Attributes
    ----------
    perplexity_ : float, the one chosen, the least of equals
    perplexities_ : array (m,), those tried
    scores_ : array (m,), S of each
    kl_divergences_ : array (m,)
    embedding_, kl_divergence_, n_iter_, learning_rate_, method_ : of the chosen map

    Raises
    ------
    DataError, InputError
        As :class:`TSNE`; also an empty or unsorted sequence of perplexities.

    Notes
    -----
    KL falls as the perplexity grows; the second term is the price, as the number of parameters is in BIC.

    References
    ----------
    Cao & Wang, Automatic selection of t-SNE perplexity, 2017; ``01#tsne-auto-perplexity``.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexities: Sequence[float] | None = None,
        angle: float = 0.5,
        early_exaggeration: float = 12.0,
        learning_rate: float | str = "auto",
        max_iter: int = 1000,
        exaggeration_iter: int = 250,
        init: Any = "pca",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.perplexities = perplexities
        self.angle = angle
        self.early_exaggeration = early_exaggeration
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.exaggeration_iter = exaggeration_iter
        self.init = init
        self.random_state = random_state

    @property
    def perplexity(self) -> float:
        """The perplexity chosen."""
        require_fitted(self, "perplexity_")
        return self.perplexity_

    def _embed(self, X: np.ndarray) -> None:
        n = len(X)
        if self.perplexities is None:
            tried = np.arange(5.0, 51.0, 5.0)
            tried = tried[tried < n / 3.0]
            tried = tried if len(tried) else np.array([max(n / 3.0, 1.0)])
        else:
            tried = np.asarray(self.perplexities, dtype=np.float64)
            if tried.ndim != 1 or not len(tried) or not np.isfinite(tried).all() or (np.diff(tried) <= 0).any():
                raise InputError(f"`perplexities` is {self.perplexities!r}; give one or more growing numbers >= 1.")
        # One draw for all, so that the perplexity alone makes the difference.
        seed = Streams.of(self.random_state).integer("tsne-auto")
        shared = {
            "early_exaggeration": self.early_exaggeration,
            "learning_rate": self.learning_rate,
            "max_iter": self.max_iter,
            "exaggeration_iter": self.exaggeration_iter,
            "init": self.init,
            "random_state": seed,
        }
        maps = []
        for perplexity in tried.tolist():
            model = TSNE(self.n_components, angle=self.angle, perplexity=perplexity, **shared)
            model._embed(X)
            maps.append(model)
        self.perplexities_ = tried
        self.kl_divergences_ = np.array([model.kl_divergence_ for model in maps])
        self.scores_ = pseudo_bic(self.kl_divergences_, tried, n)
        best = maps[int(self.scores_.argmin())]
        self.perplexity_ = float(best.perplexity)
        for name in (
            "embedding_",
            "kl_divergence_",
            "n_iter_",
            "learning_rate_",
            "method_",
            "training_rows_",
            "_scale_",
        ):
            setattr(self, name, getattr(best, name))


def pseudo_bic(kl: Any, perplexity: Any, n: int) -> np.ndarray:
    """Return S = 2 KL + ln(n) · Perp / n."""
    return np.asarray(2.0 * np.asarray(kl) + math.log(n) * np.asarray(perplexity) / n)
