"""Evidence for the convolution over several orders: which pairs meet, the layers by hand, and pairs that lie far apart."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence, fault

from . import _plain as plain


def _maps(layers: list[tuple[Any, Any]], fields: list[plain.Vector]) -> plain.Vector:
    """Return the maps of one order: kernels (out, in, width) and biases, place by place; pools for two layers or one."""
    dim, count = len(fields[0]), len(fields)
    x = [[[f[k] for f in fields] for k in range(dim)]]  # (maps, dim, fields)
    for i, (kernel, bias) in enumerate(layers, start=1):
        width = len(kernel[0][0])
        before = (width - 1) // 2
        keep = 3 if i == len(layers) else max(1, int((1 - (i / len(layers)) ** (len(layers) - i)) * count))
        out = []
        for weight, b in zip(kernel, bias):
            rows = []
            for k in range(dim):
                size = len(x[0][k])
                values = [
                    b
                    + sum(
                        weight[c][j] * x[c][k][f + j - before]
                        for c in range(len(x))
                        for j in range(width)
                        if 0 <= f + j - before < size
                    )
                    for f in range(size)
                ]
                top = sorted(sorted(range(size), key=lambda f: -values[f])[: min(keep, size)])
                rows.append([math.tanh(values[f]) for f in top])
            out.append(rows)
        x = out
    return [x[m][k][f] for m in range(len(x)) for f in range(len(x[0][0])) for k in range(dim)]


def _layers(network: Any, order: int, sharing: str, filters: tuple[int, ...]) -> list[tuple[Any, Any]]:
    found = []
    for convolution, maps in zip(network.convolution.layers, filters):
        own = slice(order * maps, (order + 1) * maps) if sharing == "each" else slice(None)
        kernel = [[[row[0] for row in c] for c in f] for f in plain.weights(convolution.weight)[own]]
        found.append((kernel, plain.weights(convolution.bias)[own]))
    return found


@evidence(
    "cnn-ctr-multi-sequence",
    claim="Logits of kernels of each order and of one set for all are those of the layers, order by order, place by place",
    against="a plain reading of the papers in Python floats",
)
def cnn_by_hand() -> Check:
    from fivefold.models.recommend.multi_sequence_cnn import MultiSequenceNetwork, field_orders

    layout, batch = plain.problem()
    worst = []
    cases = (("each", 3, (2, 3), (3, 2)), ("one", 3, (2, 2), (4, 3)), ("each", 1, (3,), (2,)))
    for sharing, count, filters, widths in cases:
        orders = field_orders(6)[:count]
        how: dict[str, Any] = {"sharing": sharing, "dropout": 0.4, "dim": 3, "batch_norm": count > 1}
        network = plain.randomized(MultiSequenceNetwork(layout, orders, filters, widths, (5,), **how))

        def score(
            row: int, network: Any = network, sharing: str = sharing, orders: Any = orders, filters: Any = filters
        ) -> list[float]:
            seen = plain.row_of(network, batch, row)
            maps: plain.Vector = []
            for place, order in enumerate(orders):
                kernels = _layers(network, place, sharing, filters)
                maps += _maps(kernels, [seen["fields"][f] for f in order])
            return [seen["linear"] + plain.dense(network.out, plain.through(network.deep, maps))[0]]

        worst.append(plain.furthest(network, batch, score))
    return Check(float(np.max(worst)), 1e-12, "largest difference of logits", "plain reading")


@evidence(
    "cnn-ctr-multi-sequence",
    claim="Of 2 to 13 fields ceil(F / 2) orders make any two neighbors, exactly once for even F; the first is the given one",
    against="counting all pairs; no fewer orders hold as many neighbors",
)
def pairs_meet() -> Check:
    from fivefold.evidence.batteries.ctr import clicks
    from fivefold.models.recommend.multi_sequence_cnn import MultiSequenceCNN, field_orders, kept

    wrong = 0
    for fields in range(2, 14):
        orders = field_orders(fields)
        met: dict[frozenset[int], int] = {}
        for order in orders:
            wrong += sorted(order) != list(range(fields))
            for pair in itertools.pairwise(order):
                met[frozenset(pair)] = met.get(frozenset(pair), 0) + 1
        wrong += len(orders) != math.ceil(fields / 2) or orders[0] != list(range(fields))
        wrong += len(met) != fields * (fields - 1) // 2
        wrong += fields % 2 == 0 and set(met.values()) != {1}
    wrong += field_orders(1) != [[0]]
    frame = clicks()
    features = ["user", "item", "click"]
    every = field_orders(3)
    for orders, taken in ((None, every), (1, every[:1]), (2, every), ([["click", "user", "item"]], [[2, 0, 1]])):
        model = MultiSequenceCNN(features=features, orders=orders, max_epochs=1, hidden_sizes=(), embedding_dim=1)
        wrong += model.fit(frame, frame["click"].to_numpy()).module_.orders.tolist() != taken
    # Three layers on nine fields: (1 - (1/3)^2) 9 = 8, (1 - 2/3) 9 = 3, then three.
    wrong += [kept(i, 3, 9) for i in (1, 2, 3)] != [8, 3, 3] or [kept(i, 2, 2) for i in (1, 2)] != [1, 2]
    return Check(wrong, 0, "faults", "counting")


@evidence(
    "cnn-ctr-multi-sequence",
    claim="One order is the convolutional click model: torch's layers, the k largest values in their places; parameters",
    against="torch.nn.functional.conv2d, NumPy's partition, the arithmetic",
)
def one_order() -> Check:
    import torch
    from torch.nn.functional import conv2d, pad

    from fivefold.models.recommend._convolution import largest_in_order
    from fivefold.models.recommend.multi_sequence_cnn import MultiSequenceNetwork, OrderedConvolution

    x = np.random.default_rng(0).normal(size=(3, 2, 7, 4))
    found = largest_in_order(torch.from_numpy(x), 3).numpy()
    low = np.partition(x, 4, axis=2)[:, :, 4:5]  # the third largest of seven
    expected = np.moveaxis(np.moveaxis(x, 2, 3)[np.moveaxis(x >= low, 2, 3)].reshape(3, 2, 4, 3), 3, 2)
    wrong = int((found != expected).sum())
    layer = plain.randomized(OrderedConvolution((2, 3), (6, 5), 7, 1, groups=False))
    e = torch.from_numpy(x[:, :1])
    with torch.no_grad():
        z = e
        for convolution, k, (before, after) in zip(layer.layers, (3, 3), ((2, 3), (2, 2))):
            z = conv2d(pad(z, (0, 0, before, after)), convolution.weight, convolution.bias)
            z = torch.tanh(largest_in_order(z, k))
        difference = float((layer(e) - z.reshape(3, -1)).abs().max())
    layout, _ = plain.problem()
    orders = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]
    for sharing, times in (("each", 2), ("one", 1)):
        network = MultiSequenceNetwork(layout, orders, (4, 4), (6, 5), (8,), sharing=sharing, dim=3, batch_norm=True)
        kernels = times * ((6 + 1) * 4 + (4 * 5 + 1) * 4)
        wrong += (
            plain.count(network) != 25 * 4 + kernels + plain.perceptron_count([2 * 4 * 3 * 3, 8], batch_norm=True) + 9
        )
    return Check(wrong + difference, 1e-12, "difference", "torch")


@evidence(
    "cnn-ctr-multi-sequence",
    claim="The compiled layer and its derivatives are those of the formula for any number of maps, fields, numbers of a vector",
    against="conv2d, topk and automatic gradient in float64, relative to the largest; each choice of zeros and ones sorted",
)
def compiled_convolution() -> Check:
    import torch

    from fivefold.models.recommend._convolution import largest_in_order, pooled_convolution, sorting_network

    worst = []
    generator = torch.Generator().manual_seed(0)
    # Vectors below, at and above multiples of eight, kernels wider than the fields, all or one kept, many rows, one row.
    cases = (
        (3, 2, 1, 7, 4, 2, 6, 3),
        (5, 1, 3, 1, 9, 2, 3, 1),
        (70, 3, 1, 39, 16, 4, 6, 19),
        (1, 2, 2, 5, 8, 3, 11, 5),
    )
    for batch, groups, channels, fields, dim, maps, width, k in cases:
        shapes = ((batch, groups, channels, fields, dim), (groups, maps, channels, width), (groups, maps))
        given = [torch.randn(shape, generator=generator) for shape in shapes]
        ours = [t.clone().requires_grad_() for t in given]
        theirs = [t.double().requires_grad_() for t in given]
        found = pooled_convolution(*ours, k)
        x, weight, bias = theirs
        sides = (0, 0, (width - 1) // 2, width // 2)
        padded = torch.nn.functional.pad(x.flatten(1, 2), sides)
        z = torch.nn.functional.conv2d(padded, weight.flatten(0, 1).unsqueeze(3), bias.flatten(), groups=groups)
        expected = torch.tanh(largest_in_order(z, k)).unflatten(1, (groups, maps))
        grad = torch.randn(found.shape, generator=generator)
        found.backward(grad)
        expected.backward(grad.double())
        for a, b in ((found, expected), *((a.grad, b.grad) for a, b in zip(ours, theirs))):
            worst.append(float((a - b).detach().abs().max() / b.detach().abs().max()))
    roundings = float(np.max(worst)) / float(torch.finfo(torch.float32).eps)
    # By the zero-one principle a network that brings the ones of every choice of zeros and ones forward orders all numbers.
    wrong = 0
    for n, k in ((1, 1), (2, 1), (6, 6), (9, 4), (10, 3)):
        x = (np.arange(2**n) >> np.arange(n)[:, None]) & 1  # (n, 2^n)
        expected_order = -np.sort(-x, axis=0)[:k]
        for i, j in sorting_network(n, k):
            x[i], x[j] = np.maximum(x[i], x[j]), np.minimum(x[i], x[j])
        wrong += int((x[:k] != expected_order).sum())
    lost = torch.zeros(1, 1, 1, 4, 3)
    lost[0, 0, 0, 3, 1] = float("nan")
    after = pooled_convolution(lost, torch.ones(1, 1, 1, 1), torch.zeros(1, 1), 2)
    wrong += fault(after.isnan().sum() != 1 or not after[0, 0, 0, 1, 1].isnan())
    given = [torch.randn(*shape, generator=generator) for shape in ((3, 2, 2, 5, 4), (2, 3, 2, 3), (2, 3))]
    wrong += fault(not plain.second_derivatives(lambda *t: pooled_convolution(*t, 2), given) <= plain.SECOND)
    return Check(roundings + wrong, 16, "roundings", "torch in float64")


@evidence(
    "cnn-ctr-multi-sequence",
    claim="Where a click hangs on two fields at the ends of the table, all orders rank at least as well as one of equal kernels",
    against="the same model with one order, trained alike, three seeds",
    slow=True,
)
def more_orders() -> Check:
    from sklearn.metrics import roc_auc_score

    from fivefold.models.recommend.multi_sequence_cnn import MultiSequenceCNN

    draw = np.random.default_rng(0)
    n = 1500
    codes = draw.integers(0, 4, (n, 6))
    p = np.where((codes[:, 0] < 2) ^ (codes[:, 5] < 2), 0.9, 0.1)
    frame = pl.DataFrame(codes, schema=list("abcdef")).with_columns(click=(draw.random(n) < p).astype(int))
    train, test, y = frame[:1000], frame[1000:], frame["click"].to_numpy()[1000:]
    how: dict[str, Any] = {"embedding_dim": 4, "max_epochs": 5, "batch_size": 100, "learning_rate": 0.02}
    how |= {"filters": (4,), "widths": (2,), "hidden_sizes": ()}
    areas = []
    for orders in (None, 1):
        fits = [MultiSequenceCNN(**how, orders=orders, random_state=s).fit(train, "click") for s in range(3)]
        areas.append(float(np.mean([roc_auc_score(y, m.predict_proba(test)[:, 1]) for m in fits])))
    return Check(areas[0] - areas[1], 0.0, "area gained by more orders", "one order", at_least=True)
