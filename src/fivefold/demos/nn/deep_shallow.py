"""Deep against shallow networks with as many parameters: on digits, and on a pattern made by folding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fivefold.base.errors import InputError
from fivefold.base.random import Streams
from fivefold.demos.nn._figures import resolution
from fivefold.demos.result import Result, save_figure
from fivefold.models.nn import Dense, MLPClassifier, ReLU

Array = np.ndarray[Any, Any]


def count(sizes: Sequence[int], bias: bool = True) -> int:
    """Return the parameters of a dense network from its widths, input and output included."""
    return sum((wide + bias) * narrow for wide, narrow in zip(sizes[:-1], sizes[1:]))


def matched_width(inputs: int, outputs: int, width: int, depth: int, bias: bool = True) -> int:
    r"""Return the width of one hidden layer that has as many parameters as ``depth`` layers of ``width`` units.

    .. math:: w = \frac{n h + (L - 1) h^2 + h k}{n + k}, \quad \text{and with biases} \quad
        w = \frac{(n + 1) h + (L - 1)(h + 1) h + h k}{n + 1 + k}

    Parameters
    ----------
    inputs, outputs : int >= 1
        n and k.
    width, depth : int >= 1
        h and L of the deep network.
    bias : bool, default True
        Count the biases as well.

    Returns
    -------
    int
        To the nearest unit.

    Raises
    ------
    InputError
        For a number below 1.
    """
    if min(inputs, outputs, width, depth) < 1:
        raise InputError(
            f"inputs, outputs, width and depth must be at least 1, got {inputs}, {outputs}, {width} and {depth}."
        )
    rest = outputs if bias else 0
    return round((count([inputs, *[width] * depth, outputs], bias) - rest) / (inputs + bias + outputs))


def _error(data: tuple[Array, Array, Array, Array], hidden: Sequence[int], epochs: int, batch: int, seed: int) -> Any:
    """Return a trained network and the share of the last two arrays that it gets wrong; the rate falls as a cosine to 0."""
    x, y, new, truth = data
    steps = epochs * -(-len(x) // batch)
    model = MLPClassifier(
        hidden_layer_sizes=list(hidden),
        max_epochs=epochs,
        batch_size=batch,
        learning_rate=0.01 if x.shape[1] == 2 else 0.003,
        schedule="lr-cosine",
        schedule_options={"total_steps": steps},
        random_state=seed,
    ).fit(x, y)
    return model, float((model.predict(new) != truth).mean())


@dataclass
class DeepVsShallowDemo:
    """Train networks of several layers, of one layer with as many parameters, and of one much wider layer, on MNIST.

    Parameters
    ----------
    width : int >= 1, default 64
        Units of each layer of the deep networks.
    depths : sequence of int >= 2, rising, default (2, 3, 5)
        Hidden layers of the deep networks.
    n_seeds : int >= 2, default 5
        Trainings of each network, over which errors are averaged.
    wider : float >= 1, default 4
        The last network has one layer this many times as wide as the one matched to the deepest.

    Raises
    ------
    InputError
        For values outside these ranges.

    Notes
    -----
    Seide et al. 2011 matched 1 x 3772 to 5 x 2k and 1 x 4634 to 7 x 2k units of 2,048 on speech, with 429 inputs and 9,304
    classes; :func:`matched_width` gives these numbers. There even 1 x 16k lost to 2 x 2k. Whether that holds on digits, the
    numbers say.

    References
    ----------
    Seide, Li & Yu 2011, "Conversational speech transcription using context-dependent deep neural networks".
    Spec: 05#deep-vs-shallow-parameter-matched, 05#dnn-theory-links.
    """

    width: int = 64
    depths: Sequence[int] = (2, 3, 5)
    n_seeds: int = 5
    wider: float = 4.0

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Train and write ``errors.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            One depth, two seeds and fewer digits.

        Returns
        -------
        Result
            Parameters, mean test error and its standard error for every network, and for each depth the mean gain of the deep
            one over its match with the standard error of that gain, pair by pair of equal seeds.
        """
        depths = list(self.depths)
        if (
            not depths
            or min(depths) < 2
            or depths != sorted(set(depths))
            or self.width < 1
            or self.n_seeds < 2
            or self.wider < 1
        ):
            raise InputError(
                f"The demonstration needs width >= 1, rising depths of at least 2, n_seeds >= 2 and wider >= 1; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        depths, seeds, epochs = ([depths[len(depths) // 2]], 2, 6) if quick else (depths, self.n_seeds, 10)
        data = _digits(Streams(seed), 5000 if quick else 8000)
        inputs, outputs = data[0].shape[1], 10
        shapes: dict[str, list[int]] = {}
        for depth in depths:
            shapes[f"{depth} x {self.width}"] = [self.width] * depth
            match = matched_width(inputs, outputs, self.width, depth)
            shapes[f"1 x {match}"] = [match]
        if not quick:
            wide = round(self.wider * match)
            shapes[f"1 x {wide}"] = [wide]
        errors = {
            name: np.array(
                [_error(data, hidden, epochs, 128, Streams(seed).integer("net", s))[1] for s in range(seeds)]
            )
            for name, hidden in shapes.items()
        }
        numbers: dict[str, float] = {}
        for name, found in errors.items():
            numbers[f"{name}: parameters"] = float(count([inputs, *shapes[name], outputs]))
            numbers[f"{name}: error"] = float(found.mean())
            numbers[f"{name}: standard error"] = float(found.std(ddof=1) / np.sqrt(seeds))
        names = list(shapes)
        for deep, shallow in zip(names[0 : 2 * len(depths) : 2], names[1 : 2 * len(depths) : 2]):
            gain = errors[shallow] - errors[deep]
            numbers[f"{deep} over {shallow}: gain"] = float(gain.mean())
            numbers[f"{deep} over {shallow}: standard error of the gain"] = float(gain.std(ddof=1) / np.sqrt(seeds))
        return Result(numbers, [self._draw(folder / "errors.png", errors, resolution(quick))], self._text(numbers))

    def _draw(self, path: Path, errors: dict[str, Array], dpi: int) -> Path:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 4.2), layout="constrained")  # any value: looks
        axes = figure.subplots()
        for place, (name, found) in enumerate(errors.items()):
            color = "#e45756" if name.startswith("1 x") else "#4c78a8"
            axes.bar(place, 100 * found.mean(), color=color, alpha=0.6)  # any value: looks
            axes.plot([place] * len(found), 100 * found, ".", color="black", markersize=5)  # any value: looks
        axes.set_xticks(range(len(errors)), list(errors))
        axes.set(
            xlabel="hidden layers x units (pairs have equally many parameters)",
            ylabel="test error in % (points: seeds)",
        )
        save_figure(figure, path, dpi=dpi)
        return path

    def _text(self, numbers: dict[str, float]) -> str:
        pairs = [key.removesuffix(": gain") for key in numbers if key.endswith(": gain")]
        said = []
        for pair in pairs:
            deep, shallow = pair.split(" over ")
            said.append(
                f"{deep} errs on {numbers[f'{deep}: error']:.2%} and {shallow} on {numbers[f'{shallow}: error']:.2%} of new "
                f"digits (gain {numbers[f'{pair}: gain']:+.2%} ± {numbers[f'{pair}: standard error of the gain']:.2%})"
            )
        text = f"With equally many parameters, {'; '.join(said)}."
        last = list(numbers)[3 * 2 * len(pairs)].split(": ")[0]
        if last not in pairs[0] and " over " not in last:
            best = min(numbers[f"{pair.split(' over ')[0]}: error"] for pair in pairs)
            verdict = "does worse than" if numbers[f"{last}: error"] > best else "does no worse than"
            text += (
                f"\n\nOne layer with many more parameters, {last} with {numbers[f'{last}: parameters']:,.0f}, errs on "
                f"{numbers[f'{last}: error']:.2%}: it {verdict} the best deep network here ({best:.2%}). On speech, in the "
                "source, it did worse."
            )
        return text


def _digits(streams: Streams, n: int) -> tuple[Array, Array, Array, Array]:
    """Return n training images of the MNIST test part, flat, their classes, and the 2,000 images that are kept apart."""
    from fivefold.data.datasets import load_dataset

    data = load_dataset("mnist", part="test")
    x, y = np.asarray(data.arrays["x"]).reshape(len(data.arrays["y"]), -1), np.asarray(data.arrays["y"])
    order = streams.numpy("split").permutation(len(y))
    new, kept = order[:2000], order[2000 : 2000 + n]
    return x[kept], y[kept], x[new], y[new]


def folded(points: Array, folds: int) -> Array:
    r"""Return the class (n,) of points (n, 2) of [-1, 1]²: a diamond, seen through sheets of paper folded in both directions.

    .. math:: q_0 = |p|, \quad q_{j+1} = |2 q_j - 1|, \quad y = [q_{J,1} + q_{J,2} < 1]

    Every fold doubles the copies of the pattern along both axes. Half of the square belongs to each class, however often it is
    folded.
    """
    if points.ndim != 2 or points.shape[1] != 2 or folds < 0:
        raise InputError(f"folded takes points (n, 2) and folds >= 0, got {points.shape} and {folds}.")
    q = np.abs(points)
    for _ in range(folds):
        q = np.abs(2 * q - 1)
    return (q.sum(axis=1) < 1).astype(np.int64)


def folding_network(folds: int) -> nn.Sequential:
    r"""Return the deep ReLU network that is the pattern exactly: a layer of 4 units a fold, and one more.

    .. math:: |z| = \mathrm{relu}(z) + \mathrm{relu}(-z)

    It gives (n, 1), positive inside: one minus the sum of the folded coordinates.
    """
    if folds < 0:
        raise InputError(f"folds must be at least 0, got {folds}.")
    signs = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)  # ± of both axes
    join = signs.abs().T  # (2, 4): what the four units make of |z|
    layers: list[nn.Module] = []
    weight, bias = signs, torch.zeros(4, dtype=torch.float64)
    for _ in range(folds + 1):
        layers += [_set(Dense(weight.shape[1], 4), weight, bias), ReLU()]
        weight, bias = 2 * signs @ join, -signs.sum(dim=1)
    layers.append(_set(Dense(4, 1), -torch.ones(1, 4, dtype=torch.float64), torch.ones(1, dtype=torch.float64)))
    return nn.Sequential(*layers)


def _set(layer: Dense, weight: torch.Tensor, bias: torch.Tensor) -> Dense:
    layer.double()
    with torch.no_grad():
        layer.weight.copy_(weight), layer.bias.copy_(bias)
    return layer


@dataclass
class FoldingDemo:
    """Learn a folded pattern with 3 hidden layers and with 1, at equal parameters, from many and from few points.

    Parameters
    ----------
    width : int >= 2, default 30
        Units of each of the three layers.
    sizes : tuple of two int >= 250, rising, default (20000, 100000)
        Training points.
    epochs : int >= 1, default 5
        Passes over the points, for either size.
    folds : int >= 0, default 1
        Folds of the pattern.

    Raises
    ------
    InputError
        For values outside these ranges.

    Notes
    -----
    With as many passes, fewer points are also fewer steps of descent. So the full form trains the small set once more with as
    many steps as the large one gets: where the shallow network recovers, it lacked steps and not points. The quick form
    leaves this control out and passes at most twice.

    References
    ----------
    Spec: 05#fold-paper-demo.
    """

    width: int = 30
    sizes: tuple[int, int] = (20_000, 100_000)
    epochs: int = 5
    folds: int = 1

    def run(self, seed: int = 0, out: str | os.PathLike[str] = ".", quick: bool = False) -> Result:
        """Train and write ``regions.png`` into ``out``.

        Parameters
        ----------
        seed : int >= 0, default 0
        out : path of a directory, made if it is not there
        quick : bool, default False
            At most two passes, and no control.

        Returns
        -------
        Result
            Test error of both networks for each size and for the small size with the steps of the large one; parameters; the
            error of the network that is built by hand.
        """
        few, many = self.sizes
        if self.width < 2 or few < 250 or many <= few or self.epochs < 1 or self.folds < 0:
            raise InputError(
                f"The demonstration needs width >= 2, two rising sizes from 250 on, epochs >= 1 and folds >= 0; got {self}."
            )
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        streams = Streams(seed)
        match = matched_width(2, 2, self.width, 3)
        nets = {"3 layers": [self.width] * 3, "1 layer": [match]}
        points = streams.numpy("points").uniform(-1.0, 1.0, (many, 2)).astype(np.float32)
        new = streams.numpy("new points").uniform(-1.0, 1.0, (10_000, 2)).astype(np.float32)
        truth = folded(new, self.folds)
        numbers = {f"{name}: parameters": float(count([2, *hidden, 2])) for name, hidden in nets.items()}
        passes = min(self.epochs, 2) if quick else self.epochs
        cases = [(f"{few} points", few, passes), (f"{many} points", many, passes)]
        if not quick:
            cases.append((f"{few} points, steps of {many}", few, round(passes * many / few)))
        models: dict[tuple[str, str], Any] = {}
        for case, n, epochs in cases:
            data = (points[:n], folded(points[:n], self.folds), new, truth)
            for name, hidden in nets.items():
                models[name, case], numbers[f"{name}, {case}: error"] = _error(
                    data, hidden, epochs, 250, streams.integer("net")
                )
        with torch.no_grad():
            built = folding_network(self.folds)(torch.from_numpy(new.astype(np.float64)))[:, 0].numpy() > 0
        numbers["built by hand: error"] = float((built != folded(new.astype(np.float64), self.folds)).mean())
        numbers["built by hand: hidden units"] = float(4 * (self.folds + 1))
        names = [case for case, *_ in cases]
        picture = self._draw(folder / "regions.png", models, names, numbers, quick)
        return Result(numbers, [picture], self._text(numbers, names, passes))

    def _draw(
        self, path: Path, models: dict[tuple[str, str], Any], cases: list[str], numbers: dict[str, float], quick: bool
    ) -> Path:
        from matplotlib.figure import Figure

        n = 120 if quick else 300
        side = np.linspace(-1.0, 1.0, n, dtype=np.float32)
        grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        figure = Figure(figsize=(3 * (len(cases) + 1), 6.2), layout="constrained")  # any value: looks
        panels: Any = figure.subplots(2, len(cases) + 1)  # any value: looks
        look: dict[str, Any] = {"cmap": "coolwarm", "extent": (-1, 1, -1, 1), "origin": "lower"}
        panels[0, 0].imshow(folded(grid, self.folds).reshape(n, n), **look)
        panels[0, 0].set_title("the pattern", fontsize=9)  # any value: looks
        panels[1, 0].axis("off")
        for row, name in enumerate(("3 layers", "1 layer")):
            for axes, case in zip(panels[row, 1:], cases):
                axes.imshow(models[name, case].predict(grid).reshape(n, n), **look)
                axes.set_title(f"{name}, {case}:\n{numbers[f'{name}, {case}: error']:.1%} wrong", fontsize=9)
        save_figure(figure, path, dpi=resolution(quick))
        return path

    def _text(self, numbers: dict[str, float], cases: list[str], passes: int) -> str:
        few, many = self.sizes
        three, one = ([numbers[f"{name}, {case}: error"] for case in cases] for name in ("3 layers", "1 layer"))
        text = (
            f"Three layers have {numbers['3 layers: parameters']:,.0f} parameters and one layer has "
            f"{numbers['1 layer: parameters']:,.0f}. After {passes} passes over {few:,} points the error is {three[0]:.1%} "
            f"with three layers and {one[0]:.1%} with one; over {many:,} points it is {three[1]:.1%} and {one[1]:.1%}."
        )
        if len(cases) > 2:
            text += (
                f"\n\nWith as many steps as the large set gets, {few:,} points give {three[2]:.1%} with three layers and "
                f"{one[2]:.1%} with one"
            )
            if one[0] > one[1]:
                share = (one[0] - one[2]) / (one[0] - one[1])
                text += f": {share:.0%} of what one layer lost with fewer points was a lack of steps, not of points"
            text += "."
        return text + (
            f"\n\nA network of {numbers['built by hand: hidden units']:.0f} hidden units, which folds as the pattern was folded, "
            f"has the error {numbers['built by hand: error']:.1%}."
        )
