"""L1 and L2 penalties: lasso and ridge solutions, weight decay, what is exempt."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, fault, largest


def _network() -> Any:
    import torch
    from torch import nn

    net = nn.Sequential(
        nn.Embedding(5, 3), nn.Linear(3, 4), nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 1))
    )
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.copy_(torch.linspace(-1.0, 1.0 + number, parameter.numel()).reshape(parameter.shape))
    return net.double()


def _design(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return 60 rows of 8 correlated columns, of which three matter."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(60, 8))
    x = base + 0.7 * base[:, :1]
    return x, x @ np.array([2.0, 0, 0, -1.5, 0, 0, 1.0, 0]) + 0.1 * rng.normal(size=60)


def _exempt(cls: Any, value: Any) -> float:
    """Return the worst difference of the penalty of a network, whole and by submodule, from the sum over its weights."""
    net = _network()
    weights = [net[1].weight, net[3][0].weight, net[3][1].weight]
    first, second, third = (value(w.detach().numpy()) for w in weights)
    worst = abs(float(cls(0.5)(net).detach()) - 0.5 * (first + second + third))
    worst = largest(worst, abs(float(cls()(net).detach()) - 1e-4 * (first + second + third)))
    worst = largest(worst, abs(float(cls(0.5, {"1": 2.0})(net).detach()) - first))
    nested = float(cls(0.5, {"3": 2.0, "3.1": 0.2})(net).detach())
    worst = largest(worst, abs(nested - (second + 0.1 * third)))
    bare = float(cls(0.5)([net[1].bias, net[1].weight]).detach())
    return largest(worst, abs(bare - 0.5 * (first + value(net[1].bias.detach().numpy()))))


@evidence(
    "l1-regularizer",
    claim="Sum of |w| over weights without biases, gains and embeddings; by submodule",
    against="NumPy",
)
def l1_value() -> Check:
    import torch

    from fivefold.objectives.penalties import L1Regularizer

    worst = _exempt(L1Regularizer, lambda w: np.abs(w).sum())
    w = torch.tensor([[2.0, -3.0, 0.0]], requires_grad=True)
    L1Regularizer(0.5)(w).backward()
    worst = largest(worst, float((w.grad - torch.tensor([[0.5, -0.5, 0.0]])).abs().max()))  # the full λ, sign(0) = 0
    return Check(worst, 1e-13, "max difference", "NumPy")


@evidence(
    "l1-regularizer",
    claim="Its proximal steps end at the lasso of scikit-learn, with the same exact zeros",
    against="scikit-learn Lasso",
)
def l1_lasso() -> Check:
    import torch
    from sklearn.linear_model import Lasso

    from fivefold.objectives.penalties import L1Regularizer

    x, y = _design()
    exact = Lasso(alpha=0.3, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y).coef_
    design, target = torch.tensor(x), torch.tensor(y)
    w = torch.zeros(1, 8, dtype=torch.float64)
    penalty = L1Regularizer(0.3)
    step = 60 / float(np.linalg.eigvalsh(x.T @ x).max())
    for _ in range(4000):
        w -= step * ((design @ w[0] - target) @ design)[None] / 60
        penalty.proximal_step_(w, step)
    found = w[0].numpy()
    wrong = (
        np.abs(found - exact).max() / 1e-8 + fault(((found == 0) != (exact == 0)).any()) + fault((exact == 0).sum() < 2)
    )
    return Check(wrong, 1.0, "difference in 1e-8", "scikit-learn")


@evidence(
    "l1-regularizer",
    claim="The proximal step is the soft threshold, with factors of submodules",
    against="the definition",
)
def l1_soft_threshold() -> Check:
    import torch

    from fivefold.objectives.penalties import L1Regularizer

    w = torch.tensor([[2.0, -0.3, 0.1, -1.0]], dtype=torch.float64)
    L1Regularizer(0.6).proximal_step_(w, 0.5)
    wrong = np.abs(w.numpy() - [[1.7, 0.0, 0.0, -0.7]]).max()
    net = _network()
    before = [p.detach().numpy().copy() for p in net.parameters()]
    L1Regularizer(0.5, {"3.1": 2.0}).proximal_step_(net, 0.1)
    for (name, parameter), old in zip(net.named_parameters(), before):
        exact = np.sign(old) * np.maximum(np.abs(old) - 0.1, 0) if name == "3.1.weight" else old
        wrong = largest(wrong, np.abs(parameter.detach().numpy() - exact).max())
    return Check(wrong, 1e-15, "max difference", "the definition")


@evidence(
    "l2-regularizer",
    claim="Half the sum of squares over weights without biases, gains, embeddings; slope λw",
    against="NumPy",
)
def l2_value() -> Check:
    import torch

    from fivefold.objectives.penalties import L2Regularizer

    worst = _exempt(L2Regularizer, lambda w: 0.5 * (w**2).sum())
    w = torch.tensor([[2.0, -3.0, 0.0]], dtype=torch.float64, requires_grad=True)
    L2Regularizer(0.5)(w).backward()
    worst = largest(worst, float((w.grad - 0.5 * w.detach()).abs().max()))
    return Check(worst, 1e-13, "max difference", "NumPy")


@evidence(
    "l2-regularizer",
    claim="Under gradient descent it is torch's weight decay, step by step",
    against="torch SGD(weight_decay)",
)
def l2_weight_decay() -> Check:
    import torch

    from fivefold.objectives.penalties import L2Regularizer

    ours, theirs = _network(), _network()
    ids = torch.tensor([0, 3, 4])
    mine = torch.optim.SGD(ours.parameters(), lr=0.01)
    decayed = [p for m in (1, 3) for n, p in theirs[m].named_parameters() if n.endswith("weight")]
    rest = [p for p in theirs.parameters() if all(p is not q for q in decayed)]
    other = torch.optim.SGD([{"params": decayed, "weight_decay": 0.3}, {"params": rest}], lr=0.01)
    penalty = L2Regularizer(0.3)
    for _ in range(20):
        mine.zero_grad(), other.zero_grad()
        (torch.tanh(ours(ids)).sum() + penalty(ours)).backward()
        torch.tanh(theirs(ids)).sum().backward()
        mine.step(), other.step()
    gaps = [float((a - b).detach().abs().max()) for a, b in zip(ours.parameters(), theirs.parameters())]
    return Check(largest(gaps), 1e-13, "max difference after 20 steps", "torch")


@evidence(
    "l2-regularizer",
    claim="The slope of half squared error plus penalty vanishes at the ridge solution",
    against="normal equations",
)
def l2_ridge() -> Check:
    import torch

    from fivefold.objectives.penalties import L2Regularizer

    x, y = _design()
    exact = np.linalg.solve(x.T @ x + 2.5 * np.eye(8), x.T @ y)
    w = torch.tensor(exact[None], requires_grad=True)
    (0.5 * (torch.tensor(x) @ w[0] - torch.tensor(y)).square().sum() + L2Regularizer(2.5)(w)).backward()
    # Sums of 60 products of size up to 100 cancel.
    return Check(float(w.grad.abs().max()), 1e-10, "slope at the ridge solution", "normal equations")
