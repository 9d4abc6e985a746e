"""Parity by a deep network of few units, by two levels of gates, and by one wide layer of thresholds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fivefold.base.errors import InputError
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import Dense, ReLU


def all_inputs(bits: int) -> Tensor:
    """Return every input of ``bits`` zeros and ones, (2**bits, bits) in float64."""
    codes = torch.arange(2**bits)
    return ((codes[:, None] >> torch.arange(bits)) & 1).double()


def _dense(weight: Tensor, bias: Tensor) -> Dense:
    layer = Dense(weight.shape[1], weight.shape[0]).double()
    with torch.no_grad():
        layer.weight.copy_(weight), layer.bias.copy_(bias)
    return layer


def deep_parity(bits: int) -> nn.Sequential:
    r"""Return a ReLU network that computes the parity of its inputs by a tree of exclusive ors.

    .. math:: a \oplus b = \mathrm{relu}(a + b) - 2\, \mathrm{relu}(a + b - 1)

    A pair takes two units; an odd one out is carried by one. For a power of two that makes 2(n - 1) units in log2(n) layers.

    Parameters
    ----------
    bits : int >= 2

    Returns
    -------
    Sequential
        (m, bits) to (m, 1), in float64, exact on zeros and ones.
    """
    if bits < 2:
        raise InputError(f"Parity needs at least 2 bits, got {bits}.")
    layers: list[nn.Module] = []
    merge = torch.eye(bits, dtype=torch.float64)  # from the units of the layer before to its results
    while len(merge) > 1:
        width = len(merge)
        pairs = width // 2
        weight = torch.zeros(pairs * 2 + width % 2, width, dtype=torch.float64)
        bias = torch.zeros(len(weight), dtype=torch.float64)
        after = torch.zeros(pairs + width % 2, len(weight), dtype=torch.float64)
        for p in range(pairs):
            weight[2 * p : 2 * p + 2, 2 * p : 2 * p + 2] = 1.0
            bias[2 * p + 1] = -1.0
            after[p, 2 * p], after[p, 2 * p + 1] = 1.0, -2.0
        if width % 2:
            weight[-1, -1] = after[-1, -1] = 1.0
        layers += [_dense(weight @ merge, bias), ReLU()]
        merge = after
    layers.append(_dense(merge, torch.zeros(1, dtype=torch.float64)))
    return nn.Sequential(*layers)


def two_level_parity(bits: int) -> nn.Sequential:
    r"""Return a network of one AND unit for each input of odd parity, and an OR of them: 2^{n-1} hidden units.

    .. math:: y = \sum_{s \text{ odd}} \mathrm{relu}\Big(\sum_i (2 s_i - 1) x_i - |s| + 1\Big)

    A unit is 1 for its own input and 0 for all others, and no two are 1 at once, so that the sum is the OR.
    """
    if bits < 2:
        raise InputError(f"Parity needs at least 2 bits, got {bits}.")
    inputs = all_inputs(bits)
    odd = inputs[inputs.sum(1) % 2 == 1]  # (2^(bits - 1), bits)
    hidden = _dense(2 * odd - 1, 1 - odd.sum(1))
    return nn.Sequential(hidden, ReLU(), _dense(torch.ones(1, len(odd), dtype=torch.float64), torch.zeros(1).double()))


def counting_parity(bits: int) -> nn.Sequential:
    r"""Return a network of one hidden layer of n units that all count the ones: a zigzag of the count.

    .. math:: y = \mathrm{relu}(s) + 2 \sum_{k=1}^{n-1} (-1)^k\, \mathrm{relu}(s - k), \quad s = \sum_i x_i
    """
    if bits < 2:
        raise InputError(f"Parity needs at least 2 bits, got {bits}.")
    steps = torch.arange(bits, dtype=torch.float64)
    outer = 2.0 * (-1.0) ** steps
    outer[0] = 1.0
    hidden = _dense(torch.ones(bits, bits, dtype=torch.float64), -steps)
    return nn.Sequential(hidden, ReLU(), _dense(outer[None], torch.zeros(1).double()))


def hidden_units(network: nn.Sequential) -> int:
    """Return how many units stand before the last layer."""
    sizes = [layer.out_features for layer in network if isinstance(layer, Dense)]
    return sum(sizes[:-1])


def wrong_share(network: nn.Sequential, bits: int) -> float:
    """Return the share of all 2^bits inputs at which the network is not their parity, exactly."""
    inputs = all_inputs(bits)
    with torch.no_grad():
        found = network(inputs)[:, 0]
    return float((found != inputs.sum(1) % 2).double().mean())


def prime_implicants(ones: set[int], bits: int) -> set[tuple[int, int]]:
    """Return the prime implicants (value, mask of free bits) of a Boolean function, after Quine and McCluskey.

    Two-level logic is an OR of such terms; each input that gives 1 must lie in one of them.
    """
    terms, primes = {(value, 0) for value in ones}, set()
    while terms:
        merged, used = set(), set()
        for a, b in combinations(sorted(terms), 2):
            differ = a[0] ^ b[0]
            if a[1] == b[1] and differ & (differ - 1) == 0:
                merged.add((a[0] & b[0], a[1] | differ))
                used |= {a, b}
        primes |= terms - used
        terms = merged
    return primes


@dataclass
class ParityDepthDemo:
    r"""Build networks that compute the parity of n bits, and count their units: 2(n - 1) deep, :math:`2^{n-1}` in two levels.

    Parameters
    ----------
    max_bits : int in [2, 14], default 10
        Networks are built and tried on every input for 2 to this many bits.

    Raises
    ------
    InputError
        For max_bits outside this range.

    Notes
    -----
    That two levels need exponentially many gates holds for AND and OR of single bits (and their negations): no term of parity can
    leave a bit out. A hidden unit that *counts* the ones is stronger than a gate, and one layer of n of those is enough; the
    demonstration shows this too, since the sources' analogy would lead one to deny it.

    References
    ----------
    Håstad 1986, "Almost optimal lower bounds for small depth circuits". Spec: 05#logic-circuit-analogy.
    """

    max_bits: int = 10

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Build, try all inputs and write ``units.png`` into ``out``; nothing is random.

        Returns
        -------
        Result
            Hidden units and share of wrong inputs of each construction for each number of bits; prime implicants of parity
            for up to 6 bits, and the least number of free bits among them.
        """
        if not 2 <= self.max_bits <= 14:
            raise InputError(f"max_bits must lie in [2, 14], got {self.max_bits}.")
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        builders = {"deep": deep_parity, "two levels": two_level_parity, "counting layer": counting_parity}
        numbers: dict[str, float] = {}
        for bits in range(2, self.max_bits + 1):
            for name, build in builders.items():
                network = build(bits)
                numbers[f"{name}, {bits} bits: units"] = float(hidden_units(network))
                numbers[f"{name}, {bits} bits: wrong share"] = wrong_share(network, bits)
            numbers[f"deep, {bits} bits: hidden layers"] = float(np.ceil(np.log2(bits)))
            if bits <= 6:
                odd = {code for code in range(2**bits) if code.bit_count() % 2}
                primes = prime_implicants(odd, bits)
                numbers[f"terms of two-level logic, {bits} bits"] = float(len(primes))
                numbers[f"most bits a term leaves out, {bits} bits"] = float(max(m.bit_count() for _, m in primes))
        return Result(numbers, [self._draw(folder / "units.png", numbers, resolution(quick))], self._text(numbers))

    def _draw(self, path: Path, numbers: dict[str, float], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.4), layout="constrained")  # any value: looks
        axes = figure.subplots()
        bits = range(2, self.max_bits + 1)
        labels = {
            "two levels": ("AND units and an OR", "#e45756"),
            "deep": ("tree of exclusive ors", "#4c78a8"),
            "counting layer": ("one layer that counts", "#54a24b"),
        }
        for name, (label, color) in labels.items():
            axes.semilogy(bits, [numbers[f"{name}, {b} bits: units"] for b in bits], "o-", color=color, label=label)
        axes.set(xlabel="bits", ylabel="hidden units")
        axes.legend(loc="upper left")
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        n = self.max_bits
        wrong = max(v for k, v in numbers.items() if "wrong" in k)
        known = min(n, 6)
        return (
            f"For {n} bits the tree takes {numbers[f'deep, {n} bits: units']:.0f} hidden units in "
            f"{numbers[f'deep, {n} bits: hidden layers']:.0f} layers, two levels of gates take "
            f"{numbers[f'two levels, {n} bits: units']:,.0f}. The largest share of inputs that any of the networks gets wrong is "
            f"{wrong:g}.\n\nAn OR of ANDs cannot do with fewer: for {known} bits parity has "
            f"{numbers[f'terms of two-level logic, {known} bits']:.0f} prime terms, and the shortest leaves out "
            f"{numbers[f'most bits a term leaves out, {known} bits']:.0f} bits. This is a fact about gates: one layer of "
            f"{numbers[f'counting layer, {n} bits: units']:.0f} units that count the ones computes parity as well."
        )
