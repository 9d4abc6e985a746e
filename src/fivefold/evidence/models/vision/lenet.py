"""LeNet-5: printed sizes, a twin written with PyTorch's layers, and digits."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fivefold.evidence import Check, evidence, largest
from fivefold.models.vision import LeNet5Classifier
from fivefold.models.vision.lenet import LeNet5, OriginalLeNet5, l2_penalty


@evidence(
    "lenet5", claim="The modern network has 899,690 trainable parameters, the original 61,706", against="counts by hand"
)
def parameters() -> Check:
    counts = [sum(p.numel() for p in net(10).parameters()) for net in (LeNet5, OriginalLeNet5)]
    return Check(abs(counts[0] - 899_690) + abs(counts[1] - 61_706), 0, "parameters too many or few", "02#lenet5")


@evidence(
    "lenet5",
    claim="Maps are 32 x 14 x 14, 64 x 7 x 7, flat 3136, then 256, 128, 64, 32, 10",
    against="the printed shapes",
)
def shapes() -> Check:
    network, seen = LeNet5(10).eval(), []
    for module in network.modules():
        if isinstance(module, (nn.MaxPool2d, nn.Flatten, nn.Linear)):
            module.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
    network(torch.zeros(2, 1, 28, 28))
    expected = [(32, 14, 14), (64, 7, 7), (3136,), (256,), (128,), (64,), (32,), (10,)]
    return Check(int(seen != expected), 0, "wrong shapes", "02#lenet5")


def _twin() -> nn.Module:
    """Return the network as the source's code lists it, in PyTorch's own layers."""
    layers: list[nn.Module] = [
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    ]  # fmt: skip
    widths = [3136, 256, 128, 64, 32]
    for wide, narrow, rate in zip(widths, widths[1:], (0.4, 0.3, 0.2, 0.2)):
        layers += [
            nn.Linear(wide, narrow),
            nn.BatchNorm1d(narrow, eps=1e-3, momentum=0.01),
            nn.ReLU(),
            nn.Dropout(rate),
        ]
    return nn.Sequential(*layers, nn.Linear(32, 10))


@evidence(
    "lenet5",
    claim="Logits in training and evaluation equal a twin of PyTorch's layers with the same weights",
    against="torch.nn",
)
def twin() -> Check:
    torch.manual_seed(0)
    ours, peer = LeNet5(10).double(), _twin().double()
    peer.load_state_dict(dict(zip(peer.state_dict(), ours.state_dict().values())))
    x = torch.randn(16, 1, 28, 28, dtype=torch.float64)
    worst = 0.0
    for training in (True, False):
        ours.train(training), peer.train(training)
        torch.manual_seed(1)
        first = ours(x)
        torch.manual_seed(1)
        worst = largest(worst, float((first - peer(x)).detach().abs().max()))
    return Check(worst, 1e-10, "max difference", "torch.nn")


@evidence(
    "lenet5", claim="The penalty is half the squared norm of the six dense and two convolution kernels", against="NumPy"
)
def penalty() -> Check:
    network = LeNet5(10).double()
    kernels = [v.numpy() for k, v in network.state_dict().items() if k.endswith("weight") and v.ndim > 1]
    expected = 0.5 * sum(float((k**2).sum()) for k in kernels)
    return Check(
        abs(float(l2_penalty(network).detach()) - expected) + abs(len(kernels) - 7), 1e-9, "difference", "NumPy"
    )


@evidence(
    "lenet5", claim="A step descends the cross-entropy plus 0.003 times the penalty", against="autograd on the formula"
)
def objective() -> Check:
    from fivefold.data.batches import Batch, Place

    model = LeNet5Classifier()
    torch.manual_seed(0)
    network = LeNet5(3, size=12).double().eval()
    x, y = torch.randn(5, 1, 12, 12, dtype=torch.float64), torch.arange(5) % 3
    from fivefold.engine.schema import NetworkSchema

    model.schema_ = NetworkSchema((1, 12, 12), 3, "multiclass", "float64")
    step = next(model.learner(network).steps(Batch({"x": x, "y": y}, Place(0, 0, 0, 5, 0))))
    weights = [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    expected = -torch.log_softmax(network(x), dim=1)[torch.arange(5), y].mean()
    expected = expected + 0.003 / 2 * sum((w**2).sum() for w in weights)
    return Check(float((step.loss - expected).detach().abs()), 1e-12, "difference", "the formula")


@evidence(
    "lenet5",
    claim="Kernels start as a normal of 0.1 cut at 0.2, dense ones Glorot-normal, the head's bias at 0.1",
    against="02#lenet5",
)
def start() -> Check:
    torch.manual_seed(0)
    network = LeNet5(10).requires_grad_(False)
    kernel, dense = network.features[3].weight.detach(), network.hidden_layers[0].weight.detach()
    # A normal cut at two deviations has 0.7737 of its variance; 51,200 and 802,816 numbers leave 1 % and 0.3 %.
    worst = (
        abs(float(kernel.var()) / (0.01 * 0.7737) - 1) / 0.03 + abs(float(dense.var()) * (3136 + 256) / 2 - 1) / 0.01
    )
    worst += float(not kernel.abs().max() <= 0.2) * 9 + float((network.head.bias - 0.1).abs().max()) * 1e3
    return Check(worst, 2.0, "errors in units of their bounds", "02#lenet5")


@evidence("lenet5", claim="The original, trained on 900 digits, reads 95 % of the other 897", against="chance is 10 %")
def digits() -> Check:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    images = np.pad(x.reshape(-1, 1, 8, 8) / 16, ((0, 0), (0, 0), (2, 2), (2, 2)))  # (n, 1, 12, 12)
    model = LeNet5Classifier(
        version="original", max_epochs=30, learning_rate=1e-2, batch_size=32, l2=1e-4, schedule="lr-cosine"
    )
    accuracy = float((model.fit(images[:900], y[:900]).predict(images[900:]) == y[900:]).mean())
    return Check(accuracy, 0.95, "accuracy", "chance is 0.1", at_least=True)


@evidence(
    "lenet5", claim="The modern one, 5 epochs on 8,000 MNIST digits, reads 97 % of 2,000", against="MNIST", slow=True
)
def mnist() -> Check:
    from fivefold import load_dataset

    arrays = load_dataset("mnist", part="test").arrays
    x, y = arrays["x"], arrays["y"]
    model = LeNet5Classifier(max_epochs=5, random_state=0).fit(x[:8000], y[:8000])
    return Check(float((model.predict(x[8000:]) == y[8000:]).mean()), 0.97, "accuracy", "MNIST", at_least=True)
