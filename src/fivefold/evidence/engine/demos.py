"""Evidence of the demonstrations of automatic differentiation and of the reference program."""

from __future__ import annotations

import functools
import tempfile
from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.data.batches import Batches
from fivefold.demos.engine.autograd import AutogradDemo, difference_errors
from fivefold.demos.engine.mnist import STYLES, MnistReference, digits, first_weights, keras_style, shifted_copies
from fivefold.evidence import Check, evidence, largest


@functools.cache
def _autograd() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return AutogradDemo().run(out=folder, quick=True)


@evidence(
    "autograd-demo",
    claim="z = 27, gradient 4.5 each; (x+y)z at (1,2,4) gives 4, 4, 3; x² at 3 gives 6",
    against="08#pytorch-autograd-demo 08#tf-basics",
)
def worked_numbers() -> Check:
    numbers = _autograd().numbers
    expected = {
        "z = 3 (x + 2)² at 1": 27.0,
        "mean of z": 27.0,
        "d mean / dx, smallest": 4.5,
        "d mean / dx, largest": 4.5,
        "d (x + y) z / dx at (1, 2, 4)": 4.0,
        "d (x + y) z / dy at (1, 2, 4)": 4.0,
        "d (x + y) z / dz at (1, 2, 4)": 3.0,
        "d x² / dx at 3": 6.0,
        "x² is tracked before x is watched": 0.0,
        "x² is tracked under no_grad": 0.0,
        "a second backward pass is refused": 1.0,
    }
    wrong = sum(numbers[name] != value for name, value in expected.items())
    return Check(wrong, 0, "wrong numbers", "the sources' numbers")


@evidence(
    "autograd-demo",
    claim="The longer slope is its closed form to the last digits",
    against="(5 cos 5x - 2x sin 5x) exp(-x²)",
)
def closed_slope() -> Check:
    worst = abs(_autograd().numbers["slope of exp(-x²) sin(5x)"] - np.exp(-1.0) * (5 * np.cos(5.0) - 2 * np.sin(5.0)))
    steps = torch.tensor([1e-3], dtype=torch.float64)
    slope, _, _ = difference_errors(lambda x: torch.exp(-x * x) * torch.sin(5 * x), -0.3, steps)
    exact = np.exp(-0.09) * (5 * np.cos(-1.5) + 0.6 * np.sin(-1.5))
    return Check(largest(float(worst), abs(slope - float(exact))), 1e-14, "|difference|", "closed form")


@evidence(
    "autograd-demo",
    claim="Difference quotients of x³ err by 3 x h + h² and by h²; the best of both lose digits",
    against="algebra",
)
def quotients() -> Check:
    steps = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64)  # exact in binary
    slope, forward, central = difference_errors(lambda x: x**3, 2.0, steps)
    worst = abs(slope - 12.0)
    for h, f, c in zip(steps.tolist(), forward, central):
        worst = largest(worst, abs(f - (6 * h + h * h)), abs(c - h * h))
    numbers = _autograd().numbers
    # Rounding eps |f| / h against curvature h |f''| / 2 and h² |f'''| / 6: best near 1e-8 and 6e-6, within two decades.
    worst += not 1e-11 < numbers["forward difference: least error"] < 1e-6
    worst += not numbers["central difference: least error"] < numbers["forward difference: least error"]
    worst += (
        not numbers["forward difference: step of the least error"]
        < numbers["central difference: step of the least error"]
    )
    return Check(worst, 1e-12, "|difference| + wrong orders", "algebra")


def _by_numpy(
    weights: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray, size: int, lr: float, momentum: float
) -> list[float]:
    """Return the loss of every batch, forward and backward by hand."""
    names = [("0.weight", "0.bias"), ("2.weight", "2.bias"), ("4.weight", "4.bias")]
    speed = {name: np.zeros_like(value) for name, value in weights.items()}
    losses = []
    for begin in range(0, len(x), size):
        rows, target = x[begin : begin + size], y[begin : begin + size]
        inputs = [rows]
        for depth, (w, b) in enumerate(names):
            z = inputs[-1] @ weights[w].T + weights[b]
            inputs.append(np.maximum(z, 0) if depth < 2 else z)
        shifted = np.exp(inputs[-1] - inputs[-1].max(axis=1, keepdims=True))
        share = shifted / shifted.sum(axis=1, keepdims=True)
        losses.append(float(-np.log(share[np.arange(len(rows)), target]).mean()))
        grad = (share - np.eye(10)[target]) / len(rows)
        steps = {}
        for depth in (2, 1, 0):
            w, b = names[depth]
            steps[w], steps[b] = grad.T @ inputs[depth], grad.sum(axis=0)
            grad = (grad @ weights[w]) * (inputs[depth] > 0)
        for name, step in steps.items():
            speed[name] = momentum * speed[name] + step
            weights[name] = weights[name] - lr * speed[name]
    return losses


@evidence(
    "mnist-mlp-reference",
    claim="Three styles give the losses and weights of forward and backward passes by hand",
    against="NumPy, float64",
)
def styles_equal_numpy() -> Check:
    x, y = digits(0).train
    x, y = x[:330].double(), y[:330]
    start = first_weights(0, torch.float64)
    batches = Batches({"x": x, "y": y}, 50, shuffle=False)
    by_hand = {name: value.numpy().copy() for name, value in start.items()}
    losses = _by_numpy(by_hand, x.numpy(), y.numpy(), 50, 0.1, 0.9)
    # The last batch has 30 rows; the mean over the epoch weighs it so.
    expected = float(np.average(losses, weights=[50] * 6 + [30]))
    worst = 0.0
    for style in STYLES.values():
        (loss,), weights = style(start, batches, 1, 0.1, 0.9)
        worst = largest(worst, abs(loss - expected))
        worst = largest(worst, *(float(np.abs(weights[name].numpy() - value).max()) for name, value in by_hand.items()))
    worst += not losses[-1] < losses[0] - 0.01
    return Check(worst, 1e-12, "max |difference|", "NumPy")


@evidence(
    "mnist-mlp-reference",
    claim="A LogSoftmax before cross-entropy, as printed, changes nothing",
    against="the loss without it",
)
def redundant_log_softmax() -> Check:
    logits = torch.randn(40, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    target = torch.arange(40) % 10
    once = nn.functional.cross_entropy(logits, target)
    twice = nn.functional.cross_entropy(logits.log_softmax(dim=1), target)
    keras = -logits.softmax(dim=1).gather(1, target[:, None]).log().mean()
    return Check(float(largest(abs(once - twice), abs(once - keras))), 1e-13, "|difference|", "torch cross_entropy")


@evidence(
    "mnist-mlp-reference",
    claim="Training and held-out rows are disjoint; shifted copies move by one pixel, four ways",
    against="brute force",
)
def rows_and_copies() -> Check:
    data = digits(0)
    train, test = data.train[0], data.test[0]
    both = {row.tobytes() for row in train.numpy()} & {row.tobytes() for row in test.numpy()}
    wrong = float(len(both)) + (len(test) not in (2000, 10000)) + (train.shape[1] != 784)
    image = torch.zeros(2, 28, 28)
    image[0, 5, 9], image[1, 0, 27] = 1.0, 2.0
    moved = shifted_copies(image.reshape(2, 784)).reshape(5, 2, 28, 28)
    found = [tuple(torch.nonzero(copy[0])[0].tolist()) for copy in moved]
    wrong += found != [(5, 9), (6, 9), (4, 9), (5, 10), (5, 8)]
    # At the edge the ink leaves the image in two of the directions.
    wrong += [float(copy[1].sum()) for copy in moved] != [2.0, 2.0, 0.0, 0.0, 2.0]
    return Check(wrong, 0, "wrong facts", "brute force")


@evidence(
    "mnist-mlp-reference",
    claim="Three epochs on 8,000 digits reach 90 % held out; shuffled labels stay at chance",
    against="chance and the plain majority",
)
def learns() -> Check:
    from fivefold.demos.engine.mnist import accuracy

    data = digits(0)
    x, y = data.train[0][:8000], data.train[1][:8000]
    start = first_weights(0)
    _, weights = keras_style(start, Batches({"x": x, "y": y}, 64, seed=0), 3, 0.1, 0.9)
    reached = accuracy(weights, *data.test)
    mixed = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    _, weights = keras_style(start, Batches({"x": x, "y": mixed}, 64, seed=0), 1, 0.1, 0.9)
    control = accuracy(weights, *data.test)
    # Guessing one of ten: 0.1 with a deviation of 0.007 on 2,000 rows; the classes differ a little in size.
    return Check(reached - (control > 0.16), 0.9, "accuracy held out", "chance", at_least=True)


@evidence(
    "mnist-mlp-reference",
    claim="15 epochs reach 95 % from the digits alone and 97 % with shifted copies",
    against="05#digit-recognition-mlp",
    slow=True,
)
def reference_accuracy() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = MnistReference(style_epochs=1).run(out=folder).numbers
    short = largest(0.0, 0.95 - numbers["test accuracy"]) + largest(
        0.0, 0.97 - numbers["test accuracy with shifted copies"]
    )
    return Check(
        short + (not numbers["largest difference of losses"] <= 1e-9), 0.0, "accuracy that lacks", "95 % and 97 %"
    )
