"""Margin softmax losses: the formulas from angles, their reductions to each other, ψ, slopes, annealing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _batch(seed: int = 0, n: int = 30, d: int = 4, k: int = 5) -> Any:
    import torch

    rng = np.random.default_rng(seed)
    return (
        torch.tensor(rng.normal(size=(n, d))),
        torch.tensor(rng.integers(0, k, n)),
        torch.tensor(rng.normal(size=(k, d))),
    )


def _with(loss: Any, weight: Any) -> Any:
    """Return the loss in float64 with given class directions."""
    import torch

    loss.double()
    with torch.no_grad():
        loss.weight.copy_(weight)
    return loss


def _formula(x: Any, y: Any, w: Any, own: Callable[[np.ndarray], np.ndarray], scale: Any) -> np.ndarray:
    """Return -ln softmax from angles by arc cosine; ``scale`` gives r (n, k) from the norms of f and W."""
    x, y, w = x.numpy(), y.numpy(), w.numpy()
    f, lengths = np.linalg.norm(x, axis=1), np.linalg.norm(w, axis=1)
    theta = np.arccos(x @ w.T / np.outer(f, lengths))
    r = np.broadcast_to(scale(f[:, None], lengths[None]), theta.shape)
    z = r * np.cos(theta)
    rows = np.arange(len(y))
    z[rows, y] = r[rows, y] * own(theta[rows, y])
    top = z.max(1, keepdims=True)
    return np.log(np.exp(z - top).sum(1)) + top[:, 0] - z[rows, y]


def _psi(theta: np.ndarray, m: int) -> np.ndarray:
    k = np.minimum(np.floor(theta * m / np.pi), m - 1)
    return (-1) ** k * np.cos(m * theta) - 2 * k


def _compare(make: Callable[..., Any], own: Any, scale: Any) -> float:
    """Return the worst difference of values, reductions and sample weights from the formula."""
    import torch

    x, y, w = _batch()
    exact = _formula(x, y, w, own, scale)
    each = _with(make(reduction="none"), w)(x, y).detach().numpy()
    worst = np.abs(each - exact).max()
    worst = largest(worst, abs(float(_with(make(), w)(x, y).detach()) - exact.mean()))
    worst = largest(worst, abs(float(_with(make(reduction="sum"), w)(x, y).detach()) - exact.sum()))
    v = np.random.default_rng(9).random(30)
    weighted = _with(make(), w)(x, y, torch.tensor(v)).detach()
    worst = largest(worst, abs(float(weighted) - np.average(exact, weights=v)))
    return largest(worst, abs(float(_with(make(), w)(x[:0], y[:0]).detach())))


def _slopes(make: Callable[..., Any]) -> float:
    """Return 1 when gradients to embeddings and directions differ from finite differences, or axes from directions = I."""
    import torch

    x, y, w = _batch(1, 6)
    loss = make().double()

    def call(v: Any, weight: Any) -> Any:
        return torch.func.functional_call(loss, {"weight": weight}, (v, y))

    ok = torch.autograd.gradcheck(call, (x.requires_grad_(), w.requires_grad_()), raise_exception=False)
    square, labels, _ = _batch(2, 8, 5)
    fixed = make(None, None).double()(square, labels)
    learned = _with(make(5, 5), torch.eye(5, dtype=torch.float64))(square, labels)
    half = make(None, None)(square.bfloat16(), labels)
    near = make(None, None)(square.bfloat16().double(), labels)
    wrong = (
        float(not ok)
        + float(not abs(fixed - learned).detach() <= 1e-13)
        + float(not abs(half.double() - near) <= 0.02 * near)
    )
    return wrong


@evidence(
    "arcface",
    claim="Values equal the formula by arc cosine, m = 0.5 and s = 64 by default",
    against="NumPy from angles",
)
def arcface_formula() -> Check:
    from functools import partial

    from fivefold.objectives.margin_softmax import ArcFaceLoss

    def own(t: np.ndarray, m: float = 0.5) -> np.ndarray:
        return np.where(t < np.pi - m, np.cos(t + m), np.cos(t) - m * np.sin(m))

    worst = _compare(partial(ArcFaceLoss, 4, 5), own, lambda f, w: 64.0)
    plain = partial(ArcFaceLoss, 4, 5, margin=0.8, scale=10.0, monotone=False)
    worst = largest(worst, _compare(plain, lambda t: np.cos(t + 0.8), lambda f, w: 10.0))
    bent = partial(ArcFaceLoss, 4, 5, margin=1.2, scale=10.0)
    worst = largest(worst, _compare(bent, lambda t: own(t, 1.2), lambda f, w: 10.0))
    # Thirty losses below 200 are summed.
    return Check(worst, 1e-10, "max difference", "the formula")


@evidence(
    "arcface",
    claim="m = 0 is scaled cosine softmax; lengths do not matter; slopes hold",
    against="cross_entropy and finite differences",
)
def arcface_slopes() -> Check:
    from torch.nn import functional

    from fivefold.objectives.margin_softmax import ArcFaceLoss

    x, y, w = _batch(3)
    zero = _with(ArcFaceLoss(4, 5, 0.0, 7.0), w)(x, y)
    cosine = functional.normalize(x) @ functional.normalize(w).T
    wrong = abs(float((zero - functional.cross_entropy(7 * cosine, y)).detach()))
    loss = _with(ArcFaceLoss(4, 5), w)
    wrong += abs(float((loss(3 * x, y) - loss(x, y)).detach()))
    wrong += float((loss(x, y) <= _with(ArcFaceLoss(4, 5, 0.0), w)(x, y)).detach())  # the margin makes it harder
    return Check(wrong + _slopes(lambda d=4, k=5: ArcFaceLoss(d, k, scale=8.0)), 1e-12, "violations", "theory")


@evidence("am-softmax", claim="Values equal the formula, m = 0.35 and s = 30 by default", against="NumPy from angles")
def am_softmax_formula() -> Check:
    from functools import partial

    from fivefold.objectives.margin_softmax import AMSoftmaxLoss

    worst = _compare(partial(AMSoftmaxLoss, 4, 5), lambda t: np.cos(t) - 0.35, lambda f, w: 30.0)
    other = partial(AMSoftmaxLoss, 4, 5, 0.1, 5.0)
    worst = largest(worst, _compare(other, lambda t: np.cos(t) - 0.1, lambda f, w: 5.0))
    return Check(worst, 1e-11, "max difference", "the formula")


@evidence(
    "am-softmax", claim="m = 0 is normalized softmax; slopes hold", against="cross_entropy and finite differences"
)
def am_softmax_slopes() -> Check:
    from torch.nn import functional

    from fivefold.objectives.margin_softmax import AMSoftmaxLoss

    x, y, w = _batch(3)
    zero = _with(AMSoftmaxLoss(4, 5, 0.0), w)(x, y)
    cosine = functional.normalize(x) @ functional.normalize(w).T
    wrong = abs(float((zero - functional.cross_entropy(30 * cosine, y)).detach()))
    return Check(wrong + _slopes(lambda d=4, k=5: AMSoftmaxLoss(d, k, scale=8.0)), 1e-12, "violations", "theory")


@evidence(
    "a-softmax",
    claim="Values equal the formula for m = 1 to 4 (default 4), with unit directions",
    against="NumPy from angles",
)
def a_softmax_formula() -> Check:
    from functools import partial

    from fivefold.objectives.margin_softmax import ASoftmaxLoss

    worst = _compare(partial(ASoftmaxLoss, 4, 5), lambda t: _psi(t, 4), lambda f, w: f)
    for m in (1, 2, 3):
        worst = largest(worst, _compare(partial(ASoftmaxLoss, 4, 5, m), lambda t, m=m: _psi(t, m), lambda f, w: f))
    return Check(worst, 1e-11, "max difference", "the formula")


@evidence(
    "a-softmax",
    claim="m = 1 is modified softmax; the loss grows with m; slopes hold",
    against="cross_entropy and finite differences",
)
def a_softmax_slopes() -> Check:
    from torch.nn import functional

    from fivefold.objectives.margin_softmax import ASoftmaxLoss

    x, y, w = _batch(4)
    losses = [float(_with(ASoftmaxLoss(4, 5, m), w)(x, y).detach()) for m in (1, 2, 3, 4)]
    wrong = abs(losses[0] - float(functional.cross_entropy(x @ functional.normalize(w).T, y)))
    wrong += float(np.any(~(np.diff(losses) > 0)))
    for m in (2, 3, 4):
        wrong += _slopes(lambda d=4, k=5, m=m: ASoftmaxLoss(d, k, m))
    return Check(wrong, 1e-12, "violations", "theory")


@evidence(
    "l-softmax",
    claim="Values equal the formula for m = 1 to 4 (default 2); m = 1 is cross-entropy",
    against="NumPy from angles",
)
def l_softmax_formula() -> Check:
    from functools import partial

    from torch.nn import functional

    from fivefold.objectives.margin_softmax import LSoftmaxLoss

    worst = _compare(partial(LSoftmaxLoss, 4, 5), lambda t: _psi(t, 2), lambda f, w: f * w)
    for m in (1, 3, 4):
        worst = largest(worst, _compare(partial(LSoftmaxLoss, 4, 5, m), lambda t, m=m: _psi(t, m), lambda f, w: f * w))
    x, y, w = _batch(5)
    one = _with(LSoftmaxLoss(4, 5, 1), w)(x, y).detach()
    return Check(
        largest(worst, abs(float(one - functional.cross_entropy(x @ w.T, y)))), 1e-11, "max difference", "the formula"
    )


@evidence(
    "l-softmax",
    claim="ψ is continuous and falls from 1 to 1 - 2m; it is cos mθ up to π/m; the source's boundary would jump",
    against="01#l-softmax",
)
def l_softmax_psi() -> Check:
    import torch

    from fivefold.objectives.margin_softmax import LSoftmaxLoss, psi

    theta = torch.linspace(0, math.pi, 20001, dtype=torch.float64)
    wrong = 0.0
    for m in (1, 2, 3, 4, 5):
        values = psi(torch.cos(theta), m).numpy()
        steps = np.diff(values)
        # The slope of ψ is at most m, so a grid step of π/20000 moves it by no more than m times that.
        wrong += float(not steps.max() <= 1e-9) + float(not steps.min() >= -m * math.pi / 20000 * 1.001)
        wrong += abs(values[0] - 1) + abs(values[-1] - (1 - 2 * m))
        first = theta.numpy() < math.pi / m
        wrong += np.abs(values - np.cos(m * theta.numpy()))[first].max()
        # The expansion of the source: cos mθ = Σ (-1)^n C(m, 2n) cos^{m-2n} (1 - cos²)^n.
        c = np.cos(theta.numpy())
        terms = [(-1) ** n * math.comb(m, 2 * n) * c ** (m - 2 * n) * (1 - c**2) ** n for n in range(m // 2 + 1)]
        k = np.minimum(np.floor(theta.numpy() * m / np.pi), m - 1)
        wrong += np.abs(values - ((-1) ** k * sum(terms) - 2 * k)).max()
    # D(π/m) = cos(π/m), as printed, would leave a gap at π/2 for m = 2: 0 against cos(2 π/2) = -1.
    at = float(psi(torch.tensor([0.0], dtype=torch.float64), 2))
    wrong += abs(at + 1) + float(not abs(math.cos(math.pi / 2) - at) >= 0.9)
    for m in (1, 2, 3):
        wrong += _slopes(lambda d=4, k=5, m=m: LSoftmaxLoss(d, k, m))
    return Check(wrong, 1e-11, "sum of differences", "theory")


@evidence(
    "combined-margin-loss", claim="Special cases: cross-entropy, L-Softmax, ArcFace, AM-Softmax", against="those losses"
)
def combined_cases() -> Check:
    from torch.nn import functional

    from fivefold.objectives.margin_softmax import AMSoftmaxLoss, ArcFaceLoss, LSoftmaxLoss
    from fivefold.objectives.margin_union import CombinedMarginLoss

    x, y, w = _batch(6)

    def combined(**options: Any) -> Any:
        return _with(CombinedMarginLoss(4, 5, **{"reduction": "none", **options}), w)(x, y).detach()

    plain = functional.cross_entropy(x @ w.T, y, reduction="none")
    worst = float((combined(m2=0.0) - plain).abs().max())
    for m in (2, 3):
        other = _with(LSoftmaxLoss(4, 5, m, reduction="none"), w)(x, y).detach()
        worst = largest(worst, float((combined(m1=float(m), m2=0.0) - other).abs().max()))
    cosine = (functional.normalize(x) @ functional.normalize(w).T).gather(1, y[:, None])[:, 0]
    inner = cosine > -math.cos(0.5)
    other = _with(ArcFaceLoss(4, 5, reduction="none"), w)(x, y).detach()
    worst = largest(worst, float((combined(m2=0.5, scale=64.0) - other)[inner].abs().max()))
    other = _with(AMSoftmaxLoss(4, 5, reduction="none"), w)(x, y).detach()
    worst = largest(worst, float((combined(m2=0.0, m3=0.35, scale=30.0) - other).abs().max()))
    # The arc cosine loses half of the digits near ±1; these angles are not near.
    return Check(worst, 1e-11, "max difference", "special cases")


@evidence(
    "combined-margin-loss",
    claim="The whole formula with all its terms, its defaults and its slopes",
    against="NumPy from angles",
)
def combined_formula() -> Check:
    from functools import partial

    from fivefold.objectives.margin_union import CombinedMarginLoss

    def own(t: np.ndarray, m1: float, m2: float, m3: float) -> np.ndarray:
        k = np.floor((m1 * t + m2) / np.pi)
        return (-1) ** k * np.cos(m1 * t + m2) - 2 * k - m3

    worst = _compare(partial(CombinedMarginLoss, 4, 5), lambda t: own(t, 1, 0.3, 0), lambda f, w: f * w)
    full = partial(CombinedMarginLoss, 4, 5, m1=1.3, m2=0.2, m3=0.1, scale=9.0)
    worst = largest(worst, _compare(full, lambda t: own(t, 1.3, 0.2, 0.1), lambda f, w: 9.0))
    x, y, w = _batch(7)
    plain = _with(full(reduction="none"), w)(x, y).detach().numpy()
    found = _with(full(intra=0.7, inter=0.4, reduction="none"), w)(x, y).detach().numpy()
    W, rows = w.numpy(), y.numpy()
    near = np.linalg.norm(x.numpy() - W[rows], axis=1)
    apart = np.array([sum(np.linalg.norm(W[c] - W[j]) for j in range(5) if j != c) / 4 for c in rows])
    worst = largest(worst, np.abs(found - (plain + 0.7 * near - 0.4 * apart)).max())
    worst += _slopes(lambda d=4, k=5: CombinedMarginLoss(d, k, m1=1.3, m2=0.2, m3=0.1, scale=5.0, intra=0.3))
    return Check(worst, 1e-11, "max difference", "the formula")


@evidence(
    "margin-annealing",
    claim="λ from the recurrence weighs cos θ and ψ; large λ is softmax, 0 is ψ",
    against="NumPy from angles",
)
def annealing_values() -> Check:
    from fivefold.objectives.margin_softmax import ASoftmaxLoss
    from fivefold.objectives.margin_union import MarginAnnealing

    x, y, w = _batch(8)
    loss = MarginAnnealing(_with(ASoftmaxLoss(4, 5, 3), w), start=20.0, end=0.5, gamma=0.5, power=2.0)
    worst = 0.0
    for step in range(12):
        lam = max(0.5, 20.0 * (1 + 0.5 * step) ** -2.0)
        exact = _formula(x, y, w, lambda t, lam=lam: (lam * np.cos(t) + _psi(t, 3)) / (1 + lam), lambda f, w: f).mean()
        loss.eval()
        worst = largest(worst, abs(float(loss(x, y).detach()) - exact))
        loss.train()
        worst = largest(worst, abs(float(loss(x, y).detach()) - exact))
    worst += float(loss.value != 0.5) + float(int(loss.count) != 12)
    again = MarginAnnealing(ASoftmaxLoss(4, 5, 3), start=20.0, end=0.0, gamma=0.5, power=2.0)
    again.load_state_dict(loss.state_dict())
    worst = largest(worst, abs(again.value - 20.0 * 7**-2.0))
    plain = _formula(x, y, w, np.cos, lambda f, w: f).mean()
    soft = _with(ASoftmaxLoss(4, 5, 3, annealing=1e12), w)(x, y)
    worst = largest(worst, abs(float(soft.detach()) - plain))
    default = MarginAnnealing(ASoftmaxLoss())
    worst += float((default.start, default.end, default.gamma, default.power) != (1000.0, 5.0, 0.12, 1.0))
    return Check(worst, 1e-10, "max difference", "the recurrence")
