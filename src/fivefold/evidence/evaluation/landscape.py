"""Loss landscapes: a quadratic in closed form, the scale of filters, and what must not change."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest


def _net(seed: int = 0) -> Any:
    import torch

    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2)).double()


@evidence("loss-landscape", claim="A quadratic loss gives the quadratic of the grid", against="the closed form")
def landscape_quadratic() -> Check:
    import torch

    from fivefold.evaluation.landscape import loss_landscape

    rng = np.random.default_rng(0)
    net = torch.nn.Linear(5, 3, bias=False).double()
    root = rng.normal(size=(15, 15))
    hessian, minimum = root @ root.T, rng.normal(size=15)

    def loss(module: Any) -> Any:
        off = module.weight.ravel() - torch.from_numpy(minimum)
        return 0.5 * off @ torch.from_numpy(hessian) @ off

    worst = 0.0
    theta = net.weight.detach().numpy().ravel() - minimum
    for normalization in ("filter", "layer", "none"):
        found = loss_landscape(net, loss, span=0.5, points=5, normalization=normalization, random_state=3)
        d, e = (direction["weight"].ravel() for direction in found.directions)
        for i, a in enumerate((-0.5, -0.25, 0.0, 0.25, 0.5)):
            for j, b in enumerate((-0.5, -0.25, 0.0, 0.25, 0.5)):
                off = theta + a * d + b * e
                worst = largest(worst, abs(found.loss[i, j] / (0.5 * off @ hessian @ off) - 1))
        worst = largest(worst, abs(found.center / float(loss(net).detach()) - 1), float(not np.abs(d - e).max() >= 0.1))
        line = loss_landscape(net, loss, directions=1, span=2.0, points=3, normalization=normalization, random_state=3)
        worst = largest(worst, float(np.abs(line.directions[0]["weight"].ravel() - d).max()))
        for i, a in enumerate((-2.0, 0.0, 2.0)):
            off = theta + a * d
            worst = largest(worst, abs(line.loss[i] / (0.5 * off @ hessian @ off) - 1))
    whole = loss_landscape(net, loss, random_state=3)
    worst = largest(
        worst, float(whole.loss.shape != (21, 21)), abs(float(whole.steps[0]) + 1), abs(float(whole.steps[-1]) - 1)
    )
    return Check(worst, 1e-12, "largest relative difference", "closed form")


@evidence(
    "loss-landscape",
    claim="Each filter of a direction is as long as the network's own; vectors do not move",
    against="norms",
)
def landscape_norms() -> Check:
    import torch

    from fivefold.evaluation.landscape import loss_landscape

    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(12, 4)
    )
    net = net.double()
    x = torch.randn(8, 2, 4, 4, dtype=torch.float64)
    worst = 0.0
    for normalization in ("filter", "layer", "none"):
        # Shape only counts when the directions are Gaussian: those of "none" are, and the others have its course.
        found = loss_landscape(
            net, lambda m: m(x).square().mean(), points=3, normalization=normalization, random_state=0
        )
        plain = loss_landscape(net, lambda m: m(x).square().mean(), points=3, normalization="none", random_state=0)
        for direction, raw in zip(found.directions, plain.directions):
            for name, weight in net.state_dict().items():
                if name not in direction:
                    continue
                w, d, r = weight.numpy(), direction[name], raw[name]
                if w.ndim == 1:
                    worst = largest(worst, float(np.abs(d).max()))
                elif normalization == "filter":
                    for row, own, drawn in zip(d, w, r):
                        scale = np.sqrt((own**2).sum() / (drawn**2).sum())
                        worst = largest(worst, float(np.abs(row - scale * drawn).max()))
                elif normalization == "layer":
                    worst = largest(worst, abs(np.linalg.norm(d) - np.linalg.norm(w)))
                    worst = largest(worst, float(np.abs(d / np.linalg.norm(d) - r / np.linalg.norm(r)).max()))
    return Check(worst, 1e-12, "max difference", "norms")


@evidence(
    "loss-landscape",
    claim="Doubling one ReLU layer and halving the next changes the plain landscape, the filter-normalized one not at all",
    against="invariance of the function",
)
def landscape_rescaled() -> Check:
    import torch

    from fivefold.evaluation.landscape import loss_landscape

    net, scaled = _net(), _net()
    x, y = torch.randn(40, 4, dtype=torch.float64), torch.randn(40, 2, dtype=torch.float64)
    with torch.no_grad():
        scaled[0].weight.mul_(4.0)
        scaled[0].bias.mul_(4.0)
        scaled[2].weight.div_(4.0)

    def loss(module: Any) -> Any:
        return (module(x) - y).square().mean()

    changes = {}
    for normalization in ("filter", "layer", "none"):
        first, second = (
            loss_landscape(m, loss, points=5, normalization=normalization, random_state=0) for m in (net, scaled)
        )
        changes[normalization] = float(np.abs(first.loss / second.loss - 1).max())
        changes["center"] = abs(first.center - second.center)
    wrong = largest(changes["filter"], changes["layer"], changes["center"])
    return Check(wrong + float(not changes["none"] >= 0.1), 1e-10, "largest relative change", "invariance")


@evidence(
    "loss-landscape",
    claim="Measured in evaluation mode; weights, statistics and modes are as before",
    against="the state",
)
def landscape_restores() -> Check:
    import torch

    from fivefold.evaluation.landscape import loss_landscape

    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(), torch.nn.Linear(4, 1))
    net[3].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(16, 3)
    seen: list[bool] = []

    def loss(module: Any) -> Any:
        seen.append(any(part.training for part in module.modules()))
        return module(x).square().mean()

    first = loss_landscape(net, loss, points=3, random_state=1)
    again = loss_landscape(net, loss, points=3, random_state=1)
    other = loss_landscape(net, loss, points=3, random_state=2)
    wrong = (
        float(not np.array_equal(first.loss, again.loss))
        + float(np.array_equal(first.loss, other.loss))
        + float(any(seen))
    )

    def broken(module: Any) -> Any:
        seen.append(False)
        if len(seen) % 5 == 0:
            raise ZeroDivisionError
        return 1.0

    try:
        loss_landscape(net, broken, points=3, random_state=1)
        wrong += 1
    except ZeroDivisionError:
        pass
    wrong += sum(float(not torch.equal(before[name], value)) for name, value in net.state_dict().items())
    wrong += float([part.training for part in net] != [True, True, True, False])
    return Check(wrong, 0.0, "violations", "the state")


@evidence(
    "loss-landscape",
    claim="A filter of zeros stays zero; a line is drawn as it is and a plane as levels of its logarithm, first direction across",
    against="by hand",
)
def landscape_drawn() -> Check:
    from unittest.mock import patch

    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fivefold.evaluation.landscape import LossLandscape, loss_landscape

    net = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        net.weight[0] = 0.0
    still = loss_landscape(net, lambda m: m.weight.square().sum(), points=3, random_state=0)
    wrong = sum(float(np.abs(d["weight"][0]).max() + np.abs(d["bias"]).max()) for d in still.directions)
    steps, seen = np.linspace(-1.0, 1.0, 3), []
    plane = np.array([[1.0, 10.0, 100.0], [0.1, 0.01, 0.1], [1e3, 0.0, 1e3]])
    with (
        patch.object(Figure, "savefig", lambda figure, path, **_: seen.append(figure)),
        patch.object(Axes, "contourf", autospec=True, side_effect=Axes.contourf) as levels,
    ):
        LossLandscape(steps, plane, 0.01, ()).draw("unwritten.png")
        LossLandscape(steps, plane[:, 1], 0.01, ()).draw("unwritten.png")
    shown = np.log10(np.where(plane > 0, plane, np.finfo(float).tiny))
    wrong += float(np.abs(levels.call_args.args[3] - shown.T).max())
    flat, line = seen[0].axes[0], seen[1].axes[0]
    wrong += float([p.get_xydata().tolist() for p in flat.get_lines()] != [[[0.0, 0.0]]])
    wrong += float(line.get_lines()[0].get_xydata().tolist() != np.stack([steps, plane[:, 1]], axis=1).tolist())
    wrong += float(line.get_lines()[1].get_xydata().tolist() != [[0.0, 0.01]])
    return Check(wrong, 0.0, "differences", "by hand")
