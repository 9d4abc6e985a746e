"""The demonstrations of networks and their parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fivefold.base.errors import InputError
from fivefold.demos.nn.approximation import UniversalApproximationDemo, interpolating_network
from fivefold.demos.nn.conv_matmul import ConvAsMatmulDemo, block_toeplitz
from fivefold.demos.nn.counting import CnnParameterCountDemo, WeightSharingDemo
from fivefold.demos.nn.deep_shallow import DeepVsShallowDemo, FoldingDemo, folded, folding_network, matched_width
from fivefold.demos.nn.kernel_pooling import KernelAttentionDemo, attention_pooling
from fivefold.demos.nn.parity import ParityDepthDemo, counting_parity, deep_parity, two_level_parity
from fivefold.demos.nn.tying import WeightTyingDemo, autoencoder

QUICK = [
    (ConvAsMatmulDemo(n_images=4), ["matrices.png"], "sum over its places"),
    (CnnParameterCountDemo(), ["weights.png"], "30,000,000 weights"),
    (WeightSharingDemo(sizes=(4, 5)), ["parameters.png"], "at its|at their new places"),
    (UniversalApproximationDemo(widths=(2, 8)), ["width-sweep.png", "fits.png"], "however wide"),
    (ParityDepthDemo(max_bits=5), ["units.png"], "two levels of gates take 16"),
    (KernelAttentionDemo(), ["attention.png"], "bandwidth 0.5 foretells"),
    (WeightTyingDemo(steps=5), ["tying.png"], "Over 5 steps"),
    (FoldingDemo(width=4, sizes=(250, 500), epochs=1), ["regions.png"], "8 hidden units"),
]


@pytest.mark.parametrize(("demo", "files", "words"), QUICK, ids=lambda v: type(v).__name__)
def test_a_demo_writes_figures_and_says_what_they_show(tmp_path, demo, files, words) -> None:
    import re

    result = demo.run(seed=1, out=tmp_path / "new", quick=True)
    assert [path.name for path in result.figures] == files
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in result.figures)
    assert re.search(words, result.text) and len(result.notes) >= 2
    assert all(np.isfinite(value) for value in result.numbers.values())


def test_the_full_folding_demo_tells_lack_of_steps_from_lack_of_points(tmp_path) -> None:
    result = FoldingDemo(width=4, sizes=(250, 1000), epochs=2).run(out=tmp_path)
    assert "1 layer, 250 points, steps of 1000: error" in result.numbers
    assert "With as many steps as the large set gets, 250 points give" in result.text


@pytest.mark.parametrize(
    ("demo", "words"),
    [
        (ConvAsMatmulDemo(kernel_size=9), "a kernel of 1 to 8 pixels"),
        (ConvAsMatmulDemo(n_images=0), "an image, a filter"),
        (CnnParameterCountDemo(side=2), "an image as large as the kernel"),
        (CnnParameterCountDemo(units=0), "sizes of at least 1"),
        (WeightSharingDemo(sizes=(8,)), "two or more rising sizes"),
        (WeightSharingDemo(sizes=(8, 4)), "two or more rising sizes"),
        (UniversalApproximationDemo(widths=()), "rising widths of at least 1"),
        (UniversalApproximationDemo(widths=(8, 600)), "more than twice as many points"),
        (UniversalApproximationDemo(degree=0), "degree >= 1"),
        (ParityDepthDemo(max_bits=15), r"max_bits must lie in \[2, 14\], got 15"),
        (KernelAttentionDemo(bandwidths=()), "must be positive and rise"),
        (KernelAttentionDemo(bandwidths=(2.0, 1.0)), "must be positive and rise"),
        (WeightTyingDemo(learning_rate=0.0), "learning_rate > 0"),
        (FoldingDemo(sizes=(500, 300)), "two rising sizes from 250 on"),
        (FoldingDemo(folds=-1), "folds >= 0"),
        (DeepVsShallowDemo(depths=(1,)), "rising depths of at least 2"),
        (DeepVsShallowDemo(n_seeds=1), "n_seeds >= 2"),
    ],
)
def test_bad_parameters_get_one_sentence(tmp_path, demo, words) -> None:
    with pytest.raises(InputError, match=words):
        demo.run(out=tmp_path)


def test_the_pieces_refuse_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"a kernel that fits into the image \(2, 9\)"):
        block_toeplitz(np.ones((1, 1, 3, 3)), (2, 9))
    with pytest.raises(InputError, match="width must be at least 1, got 0"):
        interpolating_network(np.sin, 0)
    with pytest.raises(InputError, match="must be at least 1, got 0, 1, 1 and 1"):
        matched_width(0, 1, 1, 1)
    with pytest.raises(InputError, match=r"points \(n, 2\)"):
        folded(np.ones((4, 3)), 1)
    with pytest.raises(InputError, match="folds must be at least 0, got -1"):
        folding_network(-1)
    with pytest.raises(InputError, match="bandwidth must be positive, got 0"):
        attention_pooling(np.ones((2, 1)), np.ones((2, 1)), np.ones(2), 0)
    with pytest.raises(InputError, match=r"got \(2, 1\), \(2, 2\) and \(2,\)"):
        attention_pooling(np.ones((2, 1)), np.ones((2, 2)), np.ones(2), 1.0)
    with pytest.raises(InputError, match=r"got \(2, 3\), \(4, 3\) and \(5, 3\)"):
        autoencoder(np.ones((2, 3)), np.ones((4, 3)), np.ones((5, 3)))
    for build in (deep_parity, two_level_parity, counting_parity):
        with pytest.raises(InputError, match="at least 2 bits, got 1"):
            build(1)


def test_a_wrong_share_is_seen() -> None:
    from fivefold.demos.nn.parity import wrong_share

    network = deep_parity(3)
    with torch.no_grad():
        network[-1].bias.add_(1.0)
    assert wrong_share(network, 3) == 1.0
