"""Every form of every loss: finite differences, bfloat16, and torch.compile in one graph; exceptions have their reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fivefold.objectives as objectives
from fivefold.objectives.focal import LossSchedule, MulticlassFocalLoss
from fivefold.objectives.penalties import L1Regularizer, L2Regularizer

_DRAW = torch.Generator().manual_seed(0)


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=_DRAW, dtype=torch.float64)


X, F, T = _normal(6, 4), _normal(6, 3), torch.arange(6) % 4
V, B, W = _normal(8), (torch.arange(8) % 2).double(), torch.rand(6, generator=_DRAW, dtype=torch.float64)
A, C = _normal(5, 2), _normal(7, 2)
P = torch.softmax(_normal(6, 4), 1)
CTC = (torch.tensor([[1, 1], [2, 1]]), torch.tensor([4, 4]), torch.tensor([2, 1]))

Case = tuple[Callable[[], nn.Module], tuple[Any, ...]]
# Of the kind "loss" the evidence compiles the default form of each; here are its other forms and all other modules.
WHOLE: dict[str, Case] = {
    "class weights, smoothing": (lambda: objectives.CrossEntropyLoss([1.0, 2.0, 0.5, 1.0], 1, 0.1), (X, T)),
    "distributions": (objectives.CrossEntropyLoss, (X, P)),
    "sample weights": (objectives.CrossEntropyLoss, (X, T, W)),
    "smoothing of all": (lambda: objectives.LabelSmoothingLoss(spread="all"), (X, T)),
    "reverse KL": (lambda: objectives.KLDivergenceLoss("reverse"), (X, P)),
    "hellinger": (lambda: objectives.FDivergenceLoss("hellinger"), (X, P)),
    "own f": (lambda: objectives.FDivergenceLoss(lambda t: (t - 1) ** 2), (X, P)),
    "itakura-saito": (lambda: objectives.BregmanLoss("itakura-saito"), (X.exp(), P)),
    "gaussian-kl": (lambda: objectives.GaussianKLLoss(0.1), (X, P.log())),
    "squared hinge": (lambda: objectives.HingeLoss(2), (V, B)),
    "ghm, exact": (lambda: objectives.GHMCLoss(exact=True), (V, B)),
    "ghm, momentum": (lambda: objectives.GHMCLoss(5, 0.75), (V, B)),
    "focal of classes": (lambda: MulticlassFocalLoss(alpha=[1.0, 2.0, 0.5, 1.0]), (X, T)),
    "arcface": (lambda: objectives.ArcFaceLoss(3, 4), (F, T)),
    "am-softmax": (lambda: objectives.AMSoftmaxLoss(3, 4), (F, T, W)),
    "a-softmax": (lambda: objectives.ASoftmaxLoss(3, 4, 3, 5.0), (F, T)),
    "l-softmax": (lambda: objectives.LSoftmaxLoss(3, 4, 3), (F, T)),
    "combined": (lambda: objectives.CombinedMarginLoss(3, 4, 1.35, 0.2, 0.1, intra=0.1, inter=0.2), (F, T)),
    "margin-annealing": (lambda: objectives.MarginAnnealing(objectives.ASoftmaxLoss(3, 4)).eval(), (F, T)),
    "coco": (lambda: objectives.COCOLoss(3, 4), (F, T)),
    "centers": (lambda: objectives.CenterLoss(4, 3), (F, T)),
    "centers of the paper": (lambda: objectives.CenterLoss(4, 3, denominator="paper"), (F, T)),
    "pairs": (objectives.ContrastiveLoss, (F, T)),
    "triplets, semi-hard": (lambda: objectives.TripletLoss(mining="semi-hard"), (F, T)),
    "triplets, batch-hard": (lambda: objectives.TripletLoss(mining="batch-hard"), (F, T)),
    "joint with triplets": (objectives.JointEmbeddingClassificationLoss, (F, X, T)),
    "mini-batch-aware": (
        lambda: objectives.MinibatchAwareRegularizer(torch.arange(1.0, 7.0)),
        (X, torch.tensor([0, 3, 3])),
    ),
    "joint": (lambda: objectives.JointEmbeddingClassificationLoss(2.0, objectives.ContrastiveLoss()), (F, X, T)),
    "likelihood": (lambda: objectives.NegativeLogLikelihoodLoss([1.0, 2.0, 0.5, 1.0]), (X.log_softmax(1), T)),
    "ctc": (objectives.CTCLoss, (_normal(4, 2, 3), *CTC)),
    "l1": (L1Regularizer, ([X],)),
    "l2": (L2Regularizer, ([X],)),
    "groups": (lambda: objectives.GroupRegularizer(list("aabbbc")), (X,)),
    "group lasso": (lambda: objectives.GroupRegularizer(list("aabbbc"), penalty="group-lasso"), (X,)),
    "schedule": (
        lambda: LossSchedule([objectives.BinaryCrossEntropyLoss(), objectives.FocalLoss()], [2]).eval(),
        (V, B),
    ),
}
BROKEN: dict[str, tuple[str, Case]] = {
    "wasserstein": ("the plan is found outside torch", (objectives.WassersteinLoss, (A, C))),
    "sliced": ("directions are drawn by the seed and the count of calls", (objectives.SlicedWassersteinLoss, (A, C))),
    "sinkhorn": ("rounds end when the marginals fit", (objectives.SinkhornDivergence, (A, C))),
}


def _call(loss: Any, given: tuple[Any, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    first, *rest = given
    leaf = (first[0] if isinstance(first, list) else first).clone().requires_grad_()
    value = loss([leaf] if isinstance(first, list) else leaf, *rest)
    return value.detach(), torch.autograd.grad(value, leaf)


def _both(case: Case, **options: Any) -> tuple[Any, Any]:
    torch.compiler.reset()
    torch.manual_seed(0)
    alone = case[0]()
    torch.manual_seed(0)
    together = torch.compile(case[0](), backend="aot_eager", **options)
    return _call(alone, case[1]), _call(together, case[1])


@pytest.mark.parametrize("name", WHOLE)
def test_one_graph_gives_the_same(name: str) -> None:
    torch.testing.assert_close(*_both(WHOLE[name], fullgraph=True), rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", BROKEN)
def test_several_graphs_give_the_same_and_one_is_refused(name: str) -> None:
    reason, case = BROKEN[name]
    torch.testing.assert_close(*_both(case), rtol=1e-12, atol=1e-12)
    with pytest.raises(torch._dynamo.exc.TorchDynamoException):
        _both(case, fullgraph=True)
        pytest.fail(f"{name} is compiled whole now; it stood apart because {reason}.")


# The weights of GHM carry no gradient; in the exact window they follow the input, which finite differences see.
SMOOTH = {
    name: case for name, case in [*WHOLE.items(), *((n, c) for n, (_, c) in BROKEN.items())] if name != "ghm, exact"
}
TWICE = (
    "weights, smoothing",
    "distributions",
    "hellinger",
    "itakura",
    "gaussian-kl",
    "focal",
    "ctc",
    "smoothing of all",
)


@pytest.mark.parametrize("name", SMOOTH)
def test_slopes_are_finite_differences(name: str) -> None:
    make, given = SMOOTH[name]
    torch.manual_seed(0)
    loss = make().double().eval()
    listed = isinstance(given[0], list)

    def call(v: Tensor) -> Tensor:
        value: Tensor = loss([v] if listed else v, *given[1:])
        return value

    leaf = (given[0][0] if listed else given[0]).clone().requires_grad_()
    # The plan of an optimal transport is right to the tolerance of its rounds, 1e-4 for Sinkhorn.
    assert torch.autograd.gradcheck(call, (leaf,), atol=1e-3 if name == "sinkhorn" else 1e-5)
    if any(part in name for part in TWICE):
        assert torch.autograd.gradgradcheck(call, (leaf,))


@pytest.mark.parametrize("name", SMOOTH)
def test_bfloat16_is_near_float64(name: str) -> None:
    make, given = SMOOTH[name]
    torch.manual_seed(0)
    loss = make().eval()
    first, *rest = given
    listed = isinstance(first, list)
    half = (first[0] if listed else first).bfloat16()

    def call(v: Tensor) -> Tensor:
        value: Tensor = loss([v] if listed else v, *(r.to(v.dtype) if name in BROKEN else r for r in rest))
        return value

    if name in BROKEN:
        rest = [rest[0].bfloat16().double()]
    # Compared at the rounded input, so that only the arithmetic differs.
    exact = float(call(half.double()).detach())
    assert abs(float(call(half).detach()) - exact) <= 0.02 * abs(exact)
