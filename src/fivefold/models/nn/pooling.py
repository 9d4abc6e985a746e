"""Pooling of images by the largest or the mean value, and its undoing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count
from fivefold.base.errors import InputError, InputTypeError
from fivefold.models.nn._checks import floating


def _image(layer: str, x: Tensor, reach: int = 1) -> None:
    floating(layer, x)
    if x.ndim != 4:
        raise InputError(f"{layer} takes images (N, C, H, W), got {tuple(x.shape)}.")
    if min(x.shape[2:]) < reach:
        raise InputError(
            f"{layer} needs images of at least {reach} pixels a side, padding included, got {tuple(x.shape)}."
        )


class _Pool(nn.Module):
    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size = check_count("kernel_size", kernel_size)
        self.stride = check_count("stride", kernel_size if stride is None else stride)
        self.padding = check_count("padding", padding, 0)
        if padding > kernel_size // 2:
            raise InputError(f"padding must be at most half the kernel size {kernel_size}, got {padding}.")

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
    r"""Keep the largest value of each window.

    .. math:: y_{c,i,j} = \max_{u,v < F} x_{c,\ iS+u-P,\ jS+v-P}

    Parameters
    ----------
    kernel_size : int >= 1
        Side F of the windows.
    stride : int >= 1, optional
        Step S between windows; by default they touch.
    padding : int in [0, kernel_size/2], default 0
        Places P that count as minus infinity.
    return_indices : bool, default False
        Return also where each value stood, as :class:`MaxUnpool2d` takes it.

    Shapes
    ------
    Input (N, C, H, W), output (N, C, H', W') with H' = floor((H + 2P - F)/S) + 1.

    Raises
    ------
    InputError
        For an input that is not images, is smaller than a window, or a padding above half a window.

    Notes
    -----
    The gradient goes to the largest value alone (of equal ones to the first). It commutes with every increasing activation:
    pooling after a rectifier is the rectifier after pooling. The kernel is PyTorch's; by hand in
    :mod:`fivefold.models.nn.by_hand`.

    References
    ----------
    Spec: 02#max-pooling, 05#max-pooling, 08#pooling, 08#simple-cnn.
    """

    def __init__(
        self, kernel_size: int, stride: int | None = None, padding: int = 0, return_indices: bool = False
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.return_indices = return_indices

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the pooled maps, (N, C, H', W'), and the flat places of their values if asked for."""
        _image("MaxPool2d", x, self.kernel_size - 2 * self.padding)
        out: Tensor | tuple[Tensor, Tensor] = functional.max_pool2d(
            x, self.kernel_size, self.stride, self.padding, return_indices=self.return_indices
        )
        return out


class AvgPool2d(_Pool):
    r"""Keep the mean of each window.

    .. math:: y_{c,i,j} = \frac{1}{F^2} \sum_{u,v < F} x_{c,\ iS+u-P,\ jS+v-P}

    Parameters
    ----------
    kernel_size, stride, padding
        As for :class:`MaxPool2d`; padded places count as zeros.

    Shapes
    ------
    Input (N, C, H, W), output (N, C, H', W').

    Raises
    ------
    InputError
        As for :class:`MaxPool2d`.

    References
    ----------
    Spec: 05#max-pooling, 08#pooling.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled maps, (N, C, H', W')."""
        _image("AvgPool2d", x, self.kernel_size - 2 * self.padding)
        return functional.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class MaxUnpool2d(nn.Module):
    r"""Put pooled values back where they stood; every other place becomes zero.

    .. math:: x_{c,\ \mathrm{place}(i,j)} = y_{c,i,j}

    Parameters
    ----------
    kernel_size : int >= 1
        Side of the windows that were pooled.
    stride : int >= 1, optional
        Step between them; by default they touch.

    Shapes
    ------
    Input (N, C, H', W') and its indices of the same shape, output (N, C, H, W) with H = (H'-1) S + F or ``output_size``.

    Raises
    ------
    InputError
        For indices of another shape or beyond the output.
    InputTypeError
        For indices that are not whole numbers.

    Notes
    -----
    Without indices each value goes to the upper left corner of its window, as autoencoders do that keep no places. Pooling
    what was unpooled gives the pooled values back when they are not negative.

    References
    ----------
    Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks". Spec: 06#cnn-autoencoder.
    """

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        super().__init__()
        self.kernel_size = check_count("kernel_size", kernel_size)
        self.stride = check_count("stride", kernel_size if stride is None else stride)

    def forward(self, x: Tensor, indices: Tensor | None = None, output_size: tuple[int, int] | None = None) -> Tensor:
        """Return the enlarged maps, (N, C, H, W)."""
        _image("MaxUnpool2d", x)
        usual = [(side - 1) * self.stride + self.kernel_size for side in x.shape[2:]]
        height, width = usual if output_size is None else output_size
        if indices is None:
            rows = torch.arange(x.shape[2], device=x.device)[:, None] * self.stride
            columns = torch.arange(x.shape[3], device=x.device) * self.stride
            indices = (rows * width + columns).expand(x.shape)
        if indices.dtype != torch.int64:
            raise InputTypeError(f"indices must be torch.int64, as MaxPool2d returns them, got {indices.dtype}.")
        if indices.shape != x.shape:
            raise InputError(f"indices must have the shape of the input, {tuple(x.shape)}, got {tuple(indices.shape)}.")
        # A compiled graph cannot read values, and on a GPU the kernel itself reports a bad place.
        if not torch.compiler.is_compiling() and indices.device.type == "cpu" and indices.numel():
            low, high = (int(v) for v in indices.aminmax())
            if low < 0 or high >= height * width:
                place = low if low < 0 else high
                raise InputError(f"indices must lie in an output of {height} x {width} pixels, got {place}.")
        flat = x.new_zeros(*x.shape[:2], height * width)
        return flat.scatter(2, indices.flatten(2), x.flatten(2)).unflatten(2, (height, width))

    def extra_repr(self) -> str:
        """Return the arguments, as PyTorch's layers print them."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
