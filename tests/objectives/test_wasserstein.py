"""Wasserstein distance: refusals in a sentence."""

from __future__ import annotations

import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from fivefold.base.errors import DataError, InputError, TrainingError
from fivefold.objectives.transport import SinkhornDivergence, SlicedWassersteinLoss, WassersteinLoss
from fivefold.objectives.wasserstein import optimal_transport, wasserstein_distance


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wasserstein_distance([], [1.0]), "x must hold at least one point"),
        (lambda: wasserstein_distance([1.0], [float("nan")]), "y must hold at least one point of finite"),
        (lambda: wasserstein_distance([[1.0, 2.0]], [1.0]), "same number of coordinates, got 2 and 1"),
        (lambda: wasserstein_distance([1.0], [1.0], [1.0, 2.0]), "x_weights must be 1 finite numbers >= 0"),
        (lambda: wasserstein_distance([1.0], [1.0], [1.0], [0.0]), "y_weights must be 1 finite numbers"),
        (lambda: optimal_transport([1.0]), "costs must be a table (n, m)"),
        (lambda: optimal_transport([[1.0]], [-1.0]), "p must be 1 finite numbers"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: wasserstein_distance([1.0], [2.0], order=0.5), "order must be a finite number >= 1, got 0.5"),
        (lambda: WassersteinLoss(3), "order must be 1 or 2, got 3"),
        (lambda: SlicedWassersteinLoss(0), "n_projections must be an integer >= 1, got 0"),
        (lambda: SinkhornDivergence(0), "epsilon must be a finite number > 0"),
        (lambda: SinkhornDivergence(max_iter=0), "max_iter must be an integer >= 1, got 0"),
        (lambda: WassersteinLoss()(torch.zeros(2, 3), torch.zeros(2, 2)), "two clouds of points"),
        (lambda: WassersteinLoss()(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)), "takes one pair of clouds"),
        (lambda: SlicedWassersteinLoss()(torch.zeros(2, 3), torch.zeros(0, 3)), "at least one point in each cloud"),
        (
            lambda: SinkhornDivergence()(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(3)),
            "SinkhornDivergence needs one weight for each point",
        ),
        (
            lambda: SlicedWassersteinLoss()(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([1.0, -1.0])),
            "SlicedWassersteinLoss needs finite weights >= 0 of positive sum",
        ),
    ],
)
def test_refusals_of_the_losses(call, text) -> None:
    with pytest.raises(InputError, match=text):
        call()


def test_sinkhorn_warns_when_it_ends_early() -> None:
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    with pytest.warns(ConvergenceWarning, match="Sinkhorn's rounds ended after 1 with marginals"):
        SinkhornDivergence(0.01, max_iter=1, debias=False)(x, x + 1)


def test_the_losses_move_a_cloud_onto_another() -> None:
    y = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
    for loss in (WassersteinLoss(2), SlicedWassersteinLoss(50), SinkhornDivergence(1.0)):
        x = (torch.randn(12, 2, generator=torch.Generator().manual_seed(2)) + 1.5).requires_grad_()
        before = wasserstein_distance(x.detach(), y)
        for _ in range(60):
            (slope,) = torch.autograd.grad(loss(x, y), x)
            with torch.no_grad():
                x -= 3 * slope  # a twelfth of the mass sits on each point: a step of 6 would reach its target at once
        assert wasserstein_distance(x.detach(), y) < 0.25 * before


def test_an_unfinished_simplex_is_an_error(monkeypatch) -> None:
    from fivefold.objectives import _transport_kernels

    whole = _transport_kernels.network_simplex
    monkeypatch.setattr(
        _transport_kernels, "network_simplex", lambda c, p, q, block, tol, limit: whole(c, p, q, block, tol, 1)
    )
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(3))
    with pytest.raises(TrainingError, match="of 40 and 40 points was not solved within 1 pivots; scale the costs"):
        wasserstein_distance(x, x.flip(0) * 2 + 1)
