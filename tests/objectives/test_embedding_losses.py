"""Losses of embeddings and margin softmax losses: refusals in a sentence, types, printing."""

from __future__ import annotations

import pytest
import torch

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.objectives.embedding import CenterLoss, ContrastiveLoss, TripletLoss, TripletMiner, mine_triplets
from fivefold.objectives.margin_softmax import AMSoftmaxLoss, ArcFaceLoss, ASoftmaxLoss, LSoftmaxLoss
from fivefold.objectives.margin_union import CombinedMarginLoss, MarginAnnealing

X = torch.tensor([[0.2, -1.0, 3.0], [1.0, 0.0, -2.0]])
T = torch.tensor([2, 0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TripletLoss(margin=-1.0), "margin must be a finite number >= 0, got -1.0"),
        (lambda: TripletLoss(mining="medium"), "mining must be one of all, easy, semi-hard, hard, batch-hard"),
        (lambda: TripletLoss()(X, T[:1]), "embeddings (n, d) and one label for each, (n,); got shapes (2, 3) and (1,)"),
        (lambda: TripletLoss().triplets(X, X, X[:1]), "of one shape (t, d); got (2, 3), (2, 3) and (1, 3)"),
        (lambda: TripletMiner(kind="soft"), "kind must be one of all"),
        (lambda: TripletMiner(margin=float("nan")), "margin must be"),
        (lambda: mine_triplets(X, T, 0.1), "distances (n, n) and labels (n,)"),
        (lambda: mine_triplets(X[:, :2], T, 0.1, "soft"), "kind must be one of"),
        (lambda: ContrastiveLoss(margin=0.0), "margin must be a finite number > 0"),
        (lambda: ContrastiveLoss()(X[0], T), "needs embeddings (n, d)"),
        (lambda: ContrastiveLoss().pairs(X, X, T[:1]), "a truth value for each pair (t,)"),
        (lambda: CenterLoss(3), "Give both n_classes and n_features"),
        (lambda: CenterLoss(alpha=2.0), "alpha must be"),
        (lambda: CenterLoss(denominator="n"), "denominator must be 'count' or 'paper'"),
        (lambda: CenterLoss(3, 2)(X, T), "The centers have 2 features, the embeddings 3"),
        (lambda: CenterLoss(2, 3)(X, T), "Labels must lie from 0 to 1"),
        (lambda: ArcFaceLoss(n_features=3), "Give both n_features >= 1 and n_classes >= 2, or neither"),
        (lambda: ArcFaceLoss(margin=2.0), "margin must be a finite number >= 0 and <= 1.5708"),
        (lambda: ArcFaceLoss(scale=0.0), "scale must be a finite number > 0"),
        (lambda: ArcFaceLoss(4, 5)(X, T), "needs embeddings (n, 4), got shape (2, 3)"),
        (lambda: ArcFaceLoss(3, 2)(X, T), "got the class index 2, but the input has the classes 0 to 1"),
        (lambda: ArcFaceLoss()(X, T + 1), "got the class index 3"),
        (lambda: AMSoftmaxLoss(margin=-0.1), "margin must be"),
        (lambda: AMSoftmaxLoss()(X, T, torch.ones(3)), "sample_weight of the shape"),
        (lambda: AMSoftmaxLoss()(X[..., None], T[:, None]), "needs embeddings (n, d), got shape (2, 3, 1)"),
        (lambda: ASoftmaxLoss(m=0), "m must be an integer >= 1, got 0"),
        (lambda: LSoftmaxLoss(m=1.5), "m must be an integer >= 1, got 1.5"),
        (lambda: LSoftmaxLoss(annealing=-1.0), "annealing must be"),
        (lambda: CombinedMarginLoss(m1=0.5), "m1 must be a finite number >= 1"),
        (lambda: CombinedMarginLoss(m3=3.0), "m3 must be"),
        (lambda: CombinedMarginLoss(intra=-1.0), "intra must be"),
        (lambda: MarginAnnealing(LSoftmaxLoss(), start=1.0, end=2.0), "end must not be above start: 2.0 > 1.0"),
        (lambda: MarginAnnealing(LSoftmaxLoss(), gamma=-1.0), "gamma must be"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words: str) -> None:
    with pytest.raises((InputError, DataError)) as caught:
        call()
    assert words in str(caught.value)


def test_wrong_types_are_refused() -> None:
    with pytest.raises(InputTypeError, match="labels of an integer type, got torch.float32"):
        TripletLoss()(X, T.float())
    with pytest.raises(InputTypeError, match="needs an LSoftmaxLoss or ASoftmaxLoss, got ArcFaceLoss"):
        MarginAnnealing(ArcFaceLoss())
    with pytest.raises(InputTypeError, match="floating-point"):
        CenterLoss()(T[:, None], T)


def test_an_embedding_of_length_zero_has_finite_gradients() -> None:
    for loss in (ArcFaceLoss(), AMSoftmaxLoss(), ASoftmaxLoss(), LSoftmaxLoss(), CombinedMarginLoss(), TripletLoss()):
        x = torch.zeros(3, 3, requires_grad=True)
        loss(x, torch.tensor([0, 0, 1])).backward()
        assert x.grad is not None and x.grad.isfinite().all()


def test_directions_are_parameters_and_learn() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 4)
    y = x[:, :3].argmax(1)
    loss = ArcFaceLoss(4, 3, margin=0.1, scale=8.0)
    assert [p.shape for p in loss.parameters()] == [(3, 4)]
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    before = loss(x, y).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()
    assert loss(x, y).item() < before / 2
    assert repr(AMSoftmaxLoss()) == "AMSoftmaxLoss(margin=0.35, scale=30, reduction='mean')"
