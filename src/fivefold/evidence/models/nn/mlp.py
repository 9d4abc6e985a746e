"""The multi-layer perceptron: worked numbers, the collapse of linear layers, PyTorch's and scikit-learn's networks."""

from __future__ import annotations

import numpy as np
import torch

from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import MLPClassifier, MLPRegressor
from fivefold.models.nn.perceptron import Perceptron, collapse


@evidence(
    "mlp",
    claim="sigma([[1,-2],[-1,1]] [1,-1] + [1,0]) = sigma([4,-2]) = [0.98, 0.12]",
    against="worked number of 05#mlp",
)
def worked_number() -> Check:
    network = Perceptron((2, 2, 2), "logistic")
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.tensor([[1.0, -2.0], [-1.0, 1.0]]))
        network.layers[0].bias.copy_(torch.tensor([1.0, 0.0]))
        before = network.layers[0](torch.tensor([1.0, -1.0]))
        after = network.layers[:2](torch.tensor([1.0, -1.0]))
    error = float((before - torch.tensor([4.0, -2.0])).abs().max())
    return Check(error + float((after - torch.tensor([0.98, 0.12])).abs().max()), 0.005, "max difference", "0.98, 0.12")


@evidence("mlp", claim="With identity activations the network is one linear map", against="the product of its matrices")
def identity_collapses() -> Check:
    torch.manual_seed(0)
    network = Perceptron((3, 5, 4, 2), "identity").double()
    with torch.no_grad():
        for layer in network.layers[::2]:
            layer.bias.normal_()
    weight, bias = collapse(network)
    x = torch.randn(7, 3, dtype=torch.float64)
    return Check(float((network(x) - (x @ weight.T + bias)).detach().abs().max()), 1e-12, "max difference", "W3 W2 W1")


@evidence("mlp", claim="Every activation follows its formula layer by layer", against="NumPy")
def forward_by_hand() -> Check:
    from scipy.special import ndtr

    functions = {
        "relu": lambda v: np.maximum(v, 0),
        "tanh": np.tanh,
        "logistic": lambda v: 1 / (1 + np.exp(-v)),
        "identity": lambda v: v,
        "leaky-relu": lambda v: np.where(v > 0, v, 0.2 * v),
        "silu": lambda v: v / (1 + np.exp(-v)),
        "gelu": lambda v: v * ndtr(v),
    }
    worst, x = 0.0, np.random.default_rng(0).normal(size=(6, 3))
    for name, function in functions.items():
        network = Perceptron((3, 4, 4, 2), name).double()
        a, linears = x, [m for m in network.layers if isinstance(m, torch.nn.Linear)]
        for index, layer in enumerate(linears):
            a = a @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
            a = function(a) if index < len(linears) - 1 else a
        worst = largest(worst, float(np.abs(network(torch.as_tensor(x)).detach().numpy() - a).max()))
    return Check(worst, 1e-12, "max difference", "NumPy")


@evidence("mlp", claim="Weights start with variance g^2 / fan-in, biases at zero", against="the law of He et al. 2015")
def start() -> Check:
    torch.manual_seed(0)
    worst = 0.0
    for name, gain in (("relu", 2.0), ("tanh", 1.0), ("leaky-relu", 2 / 1.04), ("silu", 2.0), ("gelu", 2.0)):
        first, last = (
            m for m in Perceptron((400, 500, 300), name).requires_grad_(False).layers if isinstance(m, torch.nn.Linear)
        )
        worst = largest(worst, abs(float(first.weight.var()) * 400 / gain - 1), abs(float(last.weight.var()) * 500 - 1))
        worst = largest(worst, abs(float(first.weight.mean())) * 20, float(first.bias.abs().max()) * 100)
    # The variance of 150,000 normal numbers has a relative deviation of sqrt(2/150000) = 0.0037.
    return Check(worst, 0.0185, "relative error of the variance", "five standard deviations")


def _plain_training(x: np.ndarray, y: np.ndarray, model: MLPClassifier) -> torch.nn.Module:
    """Train the same start with a loop written out, full batch, as PyTorch's tutorials do."""
    from fivefold.base.random import Streams
    from fivefold.engine.runtime import seeded

    with seeded(Streams.of(model.random_state), "init"):
        twin = Perceptron((x.shape[1], *model.hidden_layer_sizes, 3), model.activation).double()
    optimizer = torch.optim.Adam(twin.parameters(), lr=model.learning_rate, weight_decay=model.weight_decay)
    inputs, targets = torch.as_tensor(x), torch.as_tensor(y)
    for _ in range(model.max_epochs):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin(inputs), targets).backward()
        optimizer.step()
    return twin


@evidence("mlp", claim="Full-batch training equals a loop written out with torch.optim.Adam", against="plain PyTorch")
def plain_loop() -> Check:
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    model = MLPClassifier(
        hidden_layer_sizes=(8,),
        max_epochs=30,
        batch_size=150,
        learning_rate=0.02,
        weight_decay=0.01,
        precision="64-true",
    ).fit(x, y)
    expected = torch.softmax(_plain_training(x, y, model)(torch.as_tensor(x)), dim=1).detach().numpy()
    return Check(float(np.abs(model.predict_proba(x) - expected).max()), 1e-9, "max |p - peer|", "plain PyTorch")


@evidence(
    "mlp", claim="Held-out accuracy on digits is that of scikit-learn's network", against="scikit-learn MLPClassifier"
)
def as_good_as_sklearn() -> Check:
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier as Peer

    x, y = load_digits(return_X_y=True)
    x = x / 16
    train, test = np.arange(len(x)) % 3 != 0, np.arange(len(x)) % 3 == 0
    shared = {"hidden_layer_sizes": (64,), "random_state": 0}
    ours = MLPClassifier(**shared, max_epochs=40, batch_size=64, learning_rate=2e-3).fit(x[train], y[train])
    peer = Peer(**shared, max_iter=40, batch_size=64, learning_rate_init=2e-3, alpha=0, n_iter_no_change=99, tol=0)
    accuracy = [
        float((m.predict(x[test]) == y[test]).mean()) for m in (ours, _without_warning(peer, x[train], y[train]))
    ]
    # The difference of two accuracies near 0.97 over 599 rows has a standard error of about 0.01.
    return Check(accuracy[1] - accuracy[0], 0.02, "accuracy below the peer's", "scikit-learn MLPClassifier")


def _without_warning(peer: object, x: np.ndarray, y: np.ndarray) -> object:
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # both stop after 40 epochs on purpose
        return peer.fit(x, y)  # type: ignore[attr-defined]


@evidence("mlp", claim="It learns XOR, which no linear model can", against="the truth table")
def exclusive_or() -> Check:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 16, dtype=float)
    y = (x[:, 0] != x[:, 1]).astype(int)
    model = MLPClassifier(
        hidden_layer_sizes=(16,), activation="tanh", max_epochs=200, batch_size=64, learning_rate=0.05
    )
    return Check(int((model.fit(x, y).predict(x) != y).sum()), 0, "wrong answers", "the truth table")


@evidence(
    "mlp",
    claim="Regression is in the unit of y: scaling and shifting y scales and shifts the prediction",
    against="invariance",
)
def equivariant() -> Check:
    stream = np.random.default_rng(0)
    x = stream.normal(size=(100, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + np.sin(x[:, 0])
    make = lambda: MLPRegressor(hidden_layer_sizes=(10,), max_epochs=5, precision="64-true")  # noqa: E731
    first, second = make().fit(x, y).predict(x), make().fit(x, 1e6 * y - 7e5).predict(x)
    return Check(float(np.abs(second - (1e6 * first - 7e5)).max()), 1e-3, "max difference of 1e6", "1e6 y - 7e5")


@evidence("mlp", claim="A weight of zero removes a row, whatever its target", against="another target in that row")
def zero_weight() -> Check:
    stream = np.random.default_rng(0)
    x, y = stream.normal(size=(60, 3)), stream.normal(size=60)
    weight = np.where(np.arange(60) % 3 == 0, 0.0, 2.0)
    wild = np.where(weight == 0, 1e3, y)
    fits = [
        MLPRegressor(max_epochs=3, precision="64-true", batch_size=20).fit(x, t, weight).predict(x) for t in (y, wild)
    ]
    return Check(float(np.abs(fits[0] - fits[1]).max()), 1e-12, "max difference", "itself")


@evidence(
    "mlp", claim="Dropout leaves out that share in training and nothing in prediction", against="the binomial law"
)
def dropout() -> Check:
    network = Perceptron((1, 4000, 1), "identity", dropout=0.25)
    torch.manual_seed(0)
    kept = float((network.layers[:3](torch.ones(1, 1)) != 0).float().mean())
    network.eval()
    quiet = float((network.layers[:3](torch.ones(1, 1)) != 0).float().mean())
    # Five standard deviations of a share over 4,000 units.
    return Check(abs(kept - 0.75) + (1 - quiet), 5 * (0.25 * 0.75 / 4000) ** 0.5, "|share - 0.75|", "0.75")


@evidence(
    "mlp", claim="Defaults are one layer of 100 rectified units without dropout", against="scikit-learn MLPClassifier"
)
def defaults() -> Check:
    from sklearn.neural_network import MLPClassifier as Peer

    peer = Peer()
    wrong = 0
    for model in (MLPClassifier(), MLPRegressor()):
        wrong += int(tuple(model.hidden_layer_sizes) != tuple(np.atleast_1d(peer.hidden_layer_sizes)))
        wrong += int(model.activation != peer.activation) + int(model.dropout != 0) + int(model.learning_rate != 1e-3)
    return Check(wrong, 0, "defaults that differ", "scikit-learn MLPClassifier")
