"""Demonstrations of width, depth, parity and kernel attention, beside closed forms, enumeration and statsmodels."""

from __future__ import annotations

import tempfile
from itertools import product

import numpy as np
import torch
from torch import nn

from fivefold.base.random import Streams
from fivefold.demos.nn.approximation import UniversalApproximationDemo, fitted_values, interpolating_network, target
from fivefold.demos.nn.deep_shallow import (
    DeepVsShallowDemo,
    FoldingDemo,
    _digits,
    _error,
    count,
    folded,
    folding_network,
    matched_width,
)
from fivefold.demos.nn.kernel_pooling import KernelAttentionDemo, attention_pooling, attention_weights, left_out_error
from fivefold.demos.nn.parity import (
    ParityDepthDemo,
    counting_parity,
    deep_parity,
    hidden_units,
    prime_implicants,
    two_level_parity,
)
from fivefold.evidence import Check, evidence, largest
from fivefold.models.nn import ReLU

from ._common import undocumented_defaults


@evidence("universal-approximation", claim="The network built by hand is linear interpolation", against="numpy.interp")
def universal_interpolates() -> Check:
    x, worst = np.linspace(-1, 1, 777), 0.0
    for width in (1, 2, 5, 16, 60):
        places = np.linspace(-1, 1, width + 1)
        with torch.no_grad():
            found = interpolating_network(target, width)(torch.from_numpy(x)[:, None])[:, 0].numpy()
        worst = largest(worst, float(np.abs(found - np.interp(x, places, target(places))).max()))
    return Check(worst, 1e-12, "max difference", "numpy.interp")


@evidence(
    "universal-approximation",
    claim="At each width its largest error keeps within h² max|f''|/8, h = 2/width, and comes near it when wide",
    against="the theorem on interpolation",
)
def universal_bound() -> Check:
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        numbers = UniversalApproximationDemo(widths=(8, 16, 32, 64), n_points=1601).run(out=folder, quick=True).numbers
    for width in (8, 16, 32, 64):
        # The kink of |x|/2 lies on a place of interpolation, the rest has |f''| <= 4 π².
        bound = (2 / width) ** 2 * 4 * np.pi**2 / 8
        error = numbers[f"relu by hand, width {width}: largest error"]
        worst = largest(worst, error / bound)
        if width == 64 and error < 0.9 * bound:
            worst = float("inf")
    return Check(worst, 1.0, "share of the bound", "closed form")


@evidence(
    "universal-approximation",
    claim="With an activation z^k every width k+1 and more gives the least-squares polynomial of degree k",
    against="numpy.polynomial",
)
def universal_polynomial() -> Check:
    x, worst = np.linspace(-1, 1, 501), 0.0
    y = target(x)
    for degree, width in product((1, 2, 3), (6, 40)):
        rng = np.random.default_rng(10 * degree + width)
        # Powers (w x + b)^k of different b/w span all polynomials of degree k.
        found = fitted_values(x, y, np.ones(width), rng.uniform(-1, 1, width), lambda z: z**degree)  # noqa: B023
        best = np.polynomial.Legendre.fit(x, y, degree)(x)
        worst = largest(worst, float(np.abs(found - best).max()))
    return Check(worst, 1e-8, "max difference", "numpy.polynomial")


@evidence(
    "universal-approximation",
    claim="From 8 to 256 units ReLU and tanh lose 9/10 of their error; a cubic loses nothing",
    against="the theorem of Leshno et al., polynomial control",
)
def universal_sweep() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = UniversalApproximationDemo(widths=(8, 256)).run(seed=1, out=folder, quick=True).numbers
    share = {
        name: numbers[f"{name}, width 256: largest error"] / numbers[f"{name}, width 8: largest error"]
        for name in ("relu by hand", "relu", "tanh", "power 3")
    }
    # No cubic comes nearer than this: it cannot alternate with the function's extrema at -0.75, -0.25, 0.25, 0.75 and -0.5's
    # zero more than three times, so somewhere it errs by the least of their distances (de la Vallée Poussin).
    x = np.linspace(-1, 1, 1001)
    system = np.column_stack([np.vander(_ALTERNATING, 4), (-1.0) ** np.arange(5)])
    least = abs(np.linalg.solve(system, target(_ALTERNATING))[-1])
    stuck = share.pop("power 3")
    fitted = np.abs(np.polyval(np.polyfit(x, target(x), 3), x) - target(x)).max()
    failed = not (abs(stuck - 1) <= 1e-6 and numbers["power 3, width 256: largest error"] >= least >= 0.3)
    failed |= not abs(numbers["polynomial: largest error"] - fitted) <= 1e-9
    return Check(float("inf") if failed else largest(share.values()), 0.1, "share of the error", "a cubic activation")


_ALTERNATING = np.array([-0.75, -0.25, 0.25, 0.75, 1.0])


@evidence("deep-vs-shallow", claim="5 x 2k matches 1 x 3772 and 7 x 2k matches 1 x 4634", against="Seide et al. 2011")
def depth_worked() -> Check:
    wrong = abs(matched_width(429, 9304, 2048, 5, bias=False) - 3772) + abs(
        matched_width(429, 9304, 2048, 7, bias=False) - 4634
    )
    wrong += abs(matched_width(429, 9304, 2048, 5) - 3772)
    return Check(float(wrong), 0.0, "units", "printed widths")


@evidence(
    "deep-vs-shallow", claim="Counts are a network's; no other width comes nearer", against="torch.nn, enumeration"
)
def depth_counts() -> Check:
    wrong = 0
    for inputs, outputs, width, depth in ((784, 10, 64, 3), (2, 2, 30, 3), (5, 3, 7, 1), (4, 6, 9, 2)):
        sizes = [inputs, *[width] * depth, outputs]
        for bias in (True, False):
            layers = nn.ModuleList(nn.Linear(a, b, bias) for a, b in zip(sizes[:-1], sizes[1:]))
            aim = sum(p.numel() for p in layers.parameters())
            wrong += abs(count(sizes, bias) - aim)
            gaps = [abs(count([inputs, w, outputs], bias) - aim) for w in range(1, 20 * width * depth)]
            wrong += int(np.argmin(gaps) + 1 != matched_width(inputs, outputs, width, depth, bias))
    wrong += abs(matched_width(11, 4, 23, 1) - 23)
    return Check(float(wrong), 0.0, "differences", "enumeration")


@evidence(
    "deep-vs-shallow",
    claim="On MNIST three layers of 64 beat one of 74: the mean gain of 4 pairs has a t of over 2.35 (one-sided 5 %)",
    against="pairs of equal seeds, a network matched to itself as control",
    slow=True,
)
def depth_gain() -> Check:
    data = _digits(Streams(0), 5000)
    gains = [_error(data, [74], 6, 128, s)[1] - _error(data, [64] * 3, 6, 128, s)[1] for s in range(4)]
    few = (data[0][:200], data[1][:200], data[2], data[3])
    control = [_error(few, hidden, 1, 128, 0)[1] for hidden in ([9], [matched_width(784, 10, 9, 1)])]
    t = np.mean(gains) / (np.std(gains, ddof=1) / 2)
    return Check(float(t) if control[0] == control[1] else float("-inf"), 2.35, "t", "paired seeds", at_least=True)


@evidence(
    "deep-vs-shallow",
    claim="The demonstration's means, spreads and gains are those of its trainings",
    against="the same networks trained again",
)
def depth_demo() -> Check:
    demo = DeepVsShallowDemo(width=16, depths=(2,))
    with tempfile.TemporaryDirectory() as folder:
        numbers = demo.run(seed=3, out=folder, quick=True).numbers
    streams = Streams(3)
    match = min(range(1, 60), key=lambda w: abs(count([784, w, 10]) - count([784, 16, 16, 10])))
    data = _digits(streams, 5000)
    seeds = [streams.integer("net", s) for s in range(2)]
    deep, shallow = (np.array([_error(data, h, 6, 128, s)[1] for s in seeds]) for h in ([16, 16], [match]))
    names = ("2 x 16", f"1 x {match}")
    wrong = 0.0
    for name, found in zip(names, (deep, shallow)):
        wrong += abs(numbers[f"{name}: error"] - found.sum() / 2)
        wrong += abs(numbers[f"{name}: standard error"] - abs(found[0] - found[1]) / 2)
    gain, pair = shallow - deep, " over ".join(names)
    wrong += abs(numbers[f"{pair}: gain"] - gain.sum() / 2)
    wrong += abs(numbers[f"{pair}: standard error of the gain"] - abs(gain[0] - gain[1]) / 2)
    wrong += abs(numbers["2 x 16: parameters"] - (784 * 16 + 16 + 16 * 17 + 170))
    wrong += abs(numbers[f"1 x {match}: parameters"] - (785 * match + 10 * match + 10))
    return Check(float(wrong), 1e-12, "sum of differences", "trained again")


@evidence(
    "folding-demo",
    claim="The network that folds is the pattern, exactly; half of the square is inside",
    against="enumeration",
)
def folding_exact() -> Check:
    # No corner of the pattern for up to 3 folds lies on this grid of 81 odd places.
    side = np.arange(-81, 82, 2) / 82
    points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    wrong = 0.0
    for folds in range(4):
        inside = np.zeros(len(points), dtype=bool)
        # A diamond around every cell center, found by the nearest one and not by folding.
        if folds == 0:
            inside = np.abs(points).sum(axis=1) < 1
        else:
            cell = 2.0 ** (1 - folds)
            q = np.abs(np.mod(np.abs(points), cell) * 2 / cell - 1)
            inside = q.sum(axis=1) < 1
        with torch.no_grad():
            built = folding_network(folds)(torch.from_numpy(points))[:, 0].numpy() > 0
        wrong += float((folded(points, folds) != inside).sum() + (built != inside).sum())
        units = [layer.out_features for layer in folding_network(folds) if isinstance(layer, nn.Linear)]
        wrong += abs(sum(units) - 1 - 4 * (folds + 1))
        random = np.random.default_rng(folds).uniform(-1, 1, (40_000, 2))
        wrong += float(not abs(folded(random, folds).mean() - 0.5) <= 5 * 0.5 / 200)
    return Check(wrong, 0.0, "wrong points", "enumeration")


@evidence(
    "folding-demo",
    claim="At 100,000 points both are good; at 20,000 one layer has over three times the error of three layers",
    against="equally many parameters; without folds one layer is good at 20,000 too",
)
def folding_collapse() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = FoldingDemo().run(out=folder, quick=True).numbers
    points = np.random.default_rng(0).uniform(-1, 1, (25_000, 2)).astype(np.float32)
    truth = folded(points, 0)
    flat = (points[:20_000], truth[:20_000], points[20_000:], truth[20_000:])
    plain = [_error(flat, hidden, 2, 250, 0)[1] for hidden in ([30] * 3, [matched_width(2, 2, 30, 3)])]
    # Good is a tenth of what guessing gives, one half.
    few, many = "20000 points: error", "100000 points: error"
    good = numbers["3 layers: parameters"] == numbers["1 layer: parameters"] == 30 * 3 + 2 * 30 * 31 + 31 * 2
    good &= largest(numbers[f"3 layers, {many}"], numbers[f"1 layer, {many}"], numbers[f"3 layers, {few}"]) < 0.05
    good &= numbers["built by hand: error"] == 0 and numbers["built by hand: hidden units"] == 8
    good &= largest(plain) < 0.05
    ratio = numbers[f"1 layer, {few}"] / numbers[f"3 layers, {few}"]
    return Check(ratio if good else 0.0, 3.0, "times", "three layers", at_least=True)


@evidence(
    "parity-depth-demo", claim="Every construction is exact on every input, for 2 to 9 bits", against="enumeration"
)
def parity_exact() -> Check:
    wrong = 0.0
    for bits in range(2, 10):
        inputs = np.array(list(product([0, 1], repeat=bits)), dtype=np.float64)
        right = np.bitwise_xor.reduce(inputs.astype(int), axis=1)
        for build in (deep_parity, two_level_parity, counting_parity):
            with torch.no_grad():
                wrong += float(np.abs(build(bits)(torch.from_numpy(inputs))[:, 0].numpy() - right).max())
    return Check(wrong, 0.0, "largest error", "exclusive or")


@evidence(
    "parity-depth-demo",
    claim="Units: 2(n-1) for powers of two, under 2n + log2 n else; 2^(n-1); n",
    against="arithmetic",
)
def parity_units() -> Check:
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        numbers = ParityDepthDemo(max_bits=9).run(out=folder, quick=True).numbers
    for bits in range(2, 10):
        # A merge takes two units; each layer with an odd number of results carries one.
        left, carried, layers = bits, 0, 0
        while left > 1:
            carried, left, layers = carried + left % 2, left - left // 2, layers + 1
        wrong += abs(numbers[f"deep, {bits} bits: units"] - (2 * (bits - 1) + carried))
        wrong += abs(numbers[f"deep, {bits} bits: hidden layers"] - layers)
        wrong += sum(isinstance(m, ReLU) for m in deep_parity(bits)) != layers
        wrong += not numbers[f"deep, {bits} bits: units"] <= 2 * bits + np.log2(bits)
        wrong += abs(numbers[f"two levels, {bits} bits: units"] - 2 ** (bits - 1))
        wrong += abs(numbers[f"counting layer, {bits} bits: units"] - bits)
        wrong += sum(numbers[f"{name}, {bits} bits: wrong share"] for name in ("deep", "two levels", "counting layer"))
    wrong += abs(hidden_units(deep_parity(8)) - 14)
    return Check(float(wrong), 0.0, "differences", "arithmetic")


@evidence(
    "parity-depth-demo",
    claim="Two levels need 2^(n-1) terms: none of parity's may leave out a bit, those of AND, OR and majority do",
    against="a search over every product of literals",
)
def parity_terms() -> Check:
    wrong = 0
    functions = {
        "parity": lambda c, n: c.bit_count() % 2 == 1,
        "or": lambda c, n: c > 0,
        "and": lambda c, n: c == 2**n - 1,
        "majority": lambda c, n: 2 * c.bit_count() > n,
        "mux": lambda c, n: bool(c >> 1 & 1) if c & 1 else bool(c >> 2 & 1),
    }
    for bits, (name, function) in product((3, 4), functions.items()):
        ones = {code for code in range(2**bits) if function(code, bits)}
        terms = set()
        for signs in product("01-", repeat=bits):  # place i of signs is bit i
            mask = sum(1 << i for i, s in enumerate(signs) if s == "-")
            value = sum(1 << i for i, s in enumerate(signs) if s == "1")
            if all(c in ones for c in range(2**bits) if c & ~mask == value):
                terms.add((value, mask))
        prime = {
            (v, m)
            for v, m in terms
            if not any((v & ~w, m | w) in terms for w in (1 << i for i in range(bits)) if not m & w)
        }
        wrong += len(prime ^ prime_implicants(ones, bits))
        if name == "parity":
            wrong += abs(len(prime) - 2 ** (bits - 1)) + sum(m for _, m in prime)
    with tempfile.TemporaryDirectory() as folder:
        numbers = ParityDepthDemo(max_bits=5).run(out=folder, quick=True).numbers
    for bits in range(2, 6):
        wrong += abs(numbers[f"terms of two-level logic, {bits} bits"] - 2 ** (bits - 1))
        wrong += numbers[f"most bits a term leaves out, {bits} bits"]
    return Check(float(wrong), 0.0, "differences", "enumeration")


@evidence(
    "kernel-attention-pooling",
    claim="Attention with a Gaussian kernel is local constant regression, in 1 and 2 dimensions",
    against="statsmodels KernelReg",
    peer="statsmodels",
)
def kernel_pooling_statsmodels() -> Check:
    from statsmodels.nonparametric.kernel_regression import KernelReg

    rng, worst = np.random.default_rng(0), 0.0
    for width, bandwidth in ((1, 0.3), (2, 0.7)):
        keys, queries = rng.normal(size=(50, width)) + 40.0, rng.normal(size=(20, width)) + 40.0
        values = np.sin(keys).sum(axis=1) + 0.1 * rng.normal(size=50)
        peer = KernelReg(values, keys, "c" * width, reg_type="lc", bw=[bandwidth] * width, rng=0)
        found = attention_pooling(queries, keys, values, bandwidth)
        worst = largest(worst, float(np.abs(found - peer.fit(queries)[0]).max()))
    return Check(worst, 1e-10, "max difference", "statsmodels KernelReg(lc)")


@evidence(
    "kernel-attention-pooling", claim="Weights and values are the kernel sums", against="a loop in extended precision"
)
def kernel_pooling_loop() -> Check:
    rng = np.random.default_rng(1)
    queries, keys, values = rng.normal(size=(5, 3)), rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    bandwidth, worst = 0.8, 0.0
    found, weights = attention_pooling(queries, keys, values, bandwidth), attention_weights(queries, keys, bandwidth)
    for i, q in enumerate(queries):
        kernel = [np.exp(-sum(np.longdouble(a - b) ** 2 for a, b in zip(q, k)) / (2 * bandwidth**2)) for k in keys]
        share = np.array([float(k / sum(kernel)) for k in kernel])
        worst = largest(worst, float(np.abs(weights[i] - share).max()), float(np.abs(found[i] - share @ values).max()))
    return Check(worst, 1e-13, "max difference", "loop")


@evidence(
    "kernel-attention-pooling",
    claim="A narrow kernel repeats the data, a wide one gives the mean; left-out errors agree",
    against="the limits of the kernel, and fits without each point",
)
def kernel_pooling_limits() -> Check:
    rng = np.random.default_rng(2)
    keys, values = np.arange(12.0)[:, None], rng.normal(size=12)
    worst = float(np.abs(attention_pooling(keys, keys, values, 0.05) - values).max())
    # Weights differ from 1/n by at most 11²/(2 · 10^12).
    worst = largest(worst, float(np.abs(attention_pooling(keys, keys, values, 1e6) - values.mean()).max()))
    each = [
        attention_pooling(keys[i : i + 1], np.delete(keys, i, 0), np.delete(values, i), 1.5)[0] - values[i]
        for i in range(12)
    ]
    worst = largest(worst, abs(left_out_error(keys, values, 1.5) - float(np.mean(np.square(each)))))
    return Check(worst, 1e-9, "max difference", "limits")


@evidence(
    "kernel-attention-pooling",
    claim="On air passengers attention is the kernel sum, and wider kernels let more months count",
    against="the width of a Gaussian, 2 √π h months, and uniform weights",
)
def kernel_pooling_demo() -> Check:
    with tempfile.TemporaryDirectory() as folder:
        numbers = KernelAttentionDemo(bandwidths=(2.0, 8.0, 1e5)).run(out=folder, quick=True).numbers
    worst = largest(numbers[f"bandwidth {b}: attention minus kernel sums"] for b in ("2", "8", "100000")) / 1e-8
    for bandwidth in (2, 8):
        # 1 / Σ w² of a sampled Gaussian is 2 √π h, but for the few weights cut off at the ends of 144 months.
        months = numbers[f"bandwidth {bandwidth}: months that count"]
        worst = largest(worst, abs(months / (2 * np.sqrt(np.pi) * bandwidth) - 1) / 1e-6)
    worst = largest(worst, abs(numbers["bandwidth 100000: months that count"] - 144) / 1e-3)
    # Without its own month, the mean of the others errs by n/(n-1) as much.
    wide = numbers["variance of the series"] * (144 / 143) ** 2
    worst = largest(worst, abs(numbers["bandwidth 100000: error at left-out months"] / wide - 1) / 1e-5)
    return Check(worst, 1.0, "tolerances", "closed form")


@evidence("universal-approximation", claim="Parameters have the defaults that are documented", against="the docstring")
def universal_approximation_defaults() -> Check:
    return Check(undocumented_defaults(UniversalApproximationDemo), 0, "defaults", "docstring")


@evidence("deep-vs-shallow", claim="Parameters have the defaults that are documented", against="the docstring")
def deep_vs_shallow_defaults() -> Check:
    return Check(undocumented_defaults(DeepVsShallowDemo), 0, "defaults", "docstring")


@evidence("folding-demo", claim="Parameters have the defaults that are documented", against="the docstring")
def folding_demo_defaults() -> Check:
    return Check(undocumented_defaults(FoldingDemo), 0, "defaults", "docstring")


@evidence("parity-depth-demo", claim="Parameters have the defaults that are documented", against="the docstring")
def parity_depth_demo_defaults() -> Check:
    return Check(undocumented_defaults(ParityDepthDemo), 0, "defaults", "docstring")


@evidence("kernel-attention-pooling", claim="Parameters have the defaults that are documented", against="the docstring")
def kernel_attention_pooling_defaults() -> Check:
    return Check(undocumented_defaults(KernelAttentionDemo), 0, "defaults", "docstring")
