"""Convolutions: of images and sequences, of points, separable, and transposed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from fivefold.base.checks import check_count, check_one_of
from fivefold.base.errors import InputError
from fivefold.models.nn._checks import channels

Size = int | tuple[int, int] | Sequence[int]

_PADDING = ("zeros", "reflect", "replicate", "circular")


def _pair(name: str, value: Size, least: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2:
        raise InputError(f"{name} must be one or two whole numbers, got {value!r}.")
    return check_count(name, pair[0], least), check_count(name, pair[1], least)


def _groups(in_channels: int, out_channels: int, groups: int) -> None:
    check_count("in_channels", in_channels), check_count("out_channels", out_channels), check_count("groups", groups)
    if in_channels % groups or out_channels % groups:
        raise InputError(f"groups must divide both channel counts, {in_channels} and {out_channels}, got {groups}.")


class Conv2d(nn.Conv2d):
    r"""Slide small filters over images: a dense layer whose weights are mostly zero and otherwise shared.

    .. math:: y_{o,i,j} = b_o + \sum_{c,u,v} w_{o,c,u,v}\, x_{c,\ iS+uD-P,\ jS+vD-P}

    Parameters
    ----------
    in_channels, out_channels : int >= 1
        Channels of the input; filters.
    kernel_size, stride, padding, dilation : int or two ints, default 1, 0, 1 after the kernel's size
        F, S, P and D; an output side is floor((W + 2P - D(F-1) - 1)/S) + 1.
    groups : int >= 1, default 1
        Blocks of channels that do not see each other.
    bias : bool, default True
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, default "zeros"

    Shapes
    ------
    Input (N, in_channels, H, W), output (N, out_channels, H', W').

    Raises
    ------
    InputError
        For another number of channels or axes, groups that do not divide the channels, or an image smaller than the kernel.

    Notes
    -----
    As everywhere in this field it is a cross-correlation: the kernel is not flipped. The kernel is PyTorch's; the forward and
    backward passes as matrix products are in :mod:`fivefold.models.nn.by_hand`. The gradient of a shared weight is the sum
    over its places; a source that averages only rescales it.

    References
    ----------
    LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition". Spec: 02#conv2d-layer, 05#conv2d.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        _groups(in_channels, out_channels, groups)
        super().__init__(
            in_channels,
            out_channels,
            _pair("kernel_size", kernel_size, 1),
            _pair("stride", stride, 1),
            _pair("padding", padding, 0),
            _pair("dilation", dilation, 1),
            groups,
            bias,
            check_one_of("padding_mode", padding_mode, _PADDING),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature maps, (N, out_channels, H', W')."""
        channels("Conv2d", x, self.in_channels, 2)
        for side in (0, 1):
            reach = self.dilation[side] * (self.kernel_size[side] - 1) + 1
            if x.shape[2 + side] + 2 * int(self.padding[side]) < reach:
                raise InputError(
                    f"Conv2d reaches over {reach} places, more than the padded input {tuple(x.shape)} has."
                )
        return super().forward(x)


class Conv1d(nn.Conv1d):
    r"""Slide small filters over sequences; the product with a Toeplitz matrix, without building it.

    .. math:: y_{o,t} = b_o + \sum_{c,u} w_{o,c,u}\, x_{c,\ tS+uD-P}

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups : int
        As for :class:`Conv2d`.
    bias : bool, default True
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, default "zeros"
        Zeros make a jump at the border that reflection avoids.

    Shapes
    ------
    Input (N, in_channels, L), output (N, out_channels, L').

    Raises
    ------
    InputError
        For another number of channels or axes, groups that do not divide the channels, or a sequence shorter than the kernel.

    Notes
    -----
    Sources call it a convolution with a "Koeplitz" matrix: it is a cross-correlation with a Toeplitz matrix. The kernel is
    PyTorch's.

    References
    ----------
    Spec: 08#conv1d-toeplitz.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        _groups(in_channels, out_channels, groups)
        super().__init__(
            in_channels,
            out_channels,
            check_count("kernel_size", kernel_size),
            check_count("stride", stride),
            check_count("padding", padding, 0),
            check_count("dilation", dilation),
            groups,
            bias,
            check_one_of("padding_mode", padding_mode, _PADDING),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature maps, (N, out_channels, L')."""
        channels("Conv1d", x, self.in_channels, 1)
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        if x.shape[2] + 2 * int(self.padding[0]) < reach:
            raise InputError(f"Conv1d reaches over {reach} places, more than the padded input {tuple(x.shape)} has.")
        return super().forward(x)


class Conv1x1(Conv2d):
    r"""A convolution with kernels of one pixel: the same dense layer over the channels of every pixel.

    .. math:: y_{o,i,j} = b_o + \sum_c w_{o,c}\, x_{c,i,j}

    Parameters
    ----------
    in_channels, out_channels : int >= 1
        Channels of the input; filters.
    bias : bool, default True

    Shapes
    ------
    Input (N, in_channels, H, W), output (N, out_channels, H, W).

    Raises
    ------
    InputError
        For another number of channels or axes.

    References
    ----------
    Lin, Chen & Yan 2014, "Network In Network". Spec: 08#pooling.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)


class DepthwiseSeparableConv2d(nn.Module):
    r"""One filter for each channel, then a mix of channels at each pixel.

    .. math:: k^2 I + I O \text{ weights instead of } k^2 I O, \quad \text{a share of } \frac1O + \frac1{k^2}

    Parameters
    ----------
    in_channels, out_channels : int >= 1
        Channels of the input I; filters O.
    kernel_size, stride, padding, dilation : int or two ints, default 1, 0, 1 after the kernel's size
        Of the depthwise part.
    bias : bool, default True
        Of the pointwise part; the depthwise one has none, since the mix would absorb it.

    Shapes
    ------
    Input (N, in_channels, H, W), output (N, out_channels, H', W').

    Raises
    ------
    InputError
        For another number of channels or axes, or an image smaller than the kernel.

    References
    ----------
    Howard et al. 2017, "MobileNets". Spec: 05#depthwise-separable-conv, 08#conv2d-toeplitz.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, dilation, groups=in_channels, bias=False
        )
        self.pointwise = Conv1x1(in_channels, out_channels, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature maps, (N, out_channels, H', W')."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class ConvTranspose2d(nn.ConvTranspose2d):
    r"""The transpose of a convolution's matrix: every input pixel stamps the kernel onto the output.

    .. math:: H' = (H - 1) S - 2P + D(F - 1) + P_{out} + 1

    Parameters
    ----------
    in_channels, out_channels : int >= 1
        Channels of input and output.
    kernel_size, stride, padding, output_padding : int or two ints, default 1, 0, 0 after the kernel's size
        F, S, P and the rows added at one side; output padding must be below the stride or the dilation.
    groups : int >= 1, default 1
    bias : bool, default True
    dilation : int or two ints, default 1

    Shapes
    ------
    Input (N, in_channels, H, W), output (N, out_channels, H', W').

    Raises
    ------
    InputError
        For another number of channels or axes, groups that do not divide the channels, or an output padding that is too large.

    Notes
    -----
    The same as a convolution with flipped kernels on the input with S-1 zeros between its pixels. Kernels whose size is no
    multiple of the stride leave a checkerboard. The kernel is PyTorch's; by hand in :mod:`fivefold.models.nn.by_hand`.

    References
    ----------
    Zeiler et al. 2010, "Deconvolutional Networks". Spec: 02#transposed-conv2d, 06#cnn-autoencoder, 08#transposed-conv.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
    ) -> None:
        _groups(in_channels, out_channels, groups)
        strides, extra, spread = (
            _pair("stride", stride, 1),
            _pair("output_padding", output_padding, 0),
            _pair("dilation", dilation, 1),
        )
        if any(e >= max(s, d) for e, s, d in zip(extra, strides, spread)):
            raise InputError(
                f"output_padding must be below the stride {strides} or the dilation {spread}, got {extra}."
            )
        super().__init__(
            in_channels,
            out_channels,
            _pair("kernel_size", kernel_size, 1),
            strides,
            _pair("padding", padding, 0),
            extra,
            groups,
            bias,
            spread,
        )

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Return the enlarged maps, (N, out_channels, H', W')."""
        channels("ConvTranspose2d", x, self.in_channels, 2)
        return functional.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            self.output_padding,
            self.groups,
            self.dilation,
        )
