"""LeNet-5 (LeCun et al. 1998), modernized and original."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fivefold.base.errors import DataError, InputError
from fivefold.data.batches import Batch
from fivefold.engine.estimator import NeuralClassifier
from fivefold.engine.learner import Step, Steps, SupervisedLearner
from fivefold.engine.schema import NetworkSchema
from fivefold.models.nn.normalization import BatchNorm

VERSIONS = ("modern", "original")


class LeNet5(nn.Module):
    """The modernized network: wider maps, ReLU, max pooling, batch normalization and dropout.

    28 x 28 -> conv 5x5x32 -> pool -> conv 5x5x64 -> pool -> flatten 3136 -> dense 256, 128, 64, 32 -> logits.

    Parameters
    ----------
    n_classes : int >= 2
    channels : int >= 1, default 1
    size : int, a multiple of 4, default 28
        Height and width of the image.

    Shapes
    ------
    Input (N, channels, size, size), output (N, n_classes). With the defaults and 10 classes: 899,690 trainable parameters.
    """

    hidden = (256, 128, 64, 32)
    dropouts = (0.4, 0.3, 0.2, 0.2)

    def __init__(self, n_classes: int, channels: int = 1, size: int = 28) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(32, 64, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Flatten(),  # (N, 64 * (size / 4)^2)
        )
        layers: list[nn.Module] = []
        width = 64 * (size // 4) ** 2
        for units, dropout in zip(self.hidden, self.dropouts):
            # Keras' momentum 0.99 weighs the old value, ours the new one.
            layers += [
                nn.Linear(width, units),
                BatchNorm(units, eps=1e-3, momentum=0.01),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
            width = units
        self.hidden_layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, n_classes)
        self._start()

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.1, a=-0.2, b=0.2)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.head.bias, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.hidden_layers(self.features(x)))


class OriginalLeNet5(nn.Module):
    """The network of 1998: 6 and 16 maps, tanh, average pooling, dense 120, 84; 61,706 parameters for 10 classes.

    The sparse table between the two convolutions and the radial basis output of the paper are the usual full connections
    and logits.
    """

    def __init__(self, n_classes: int, channels: int = 1, size: int = 28) -> None:
        super().__init__()
        side = (size // 2 - 4) // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2),  # the paper pads 28 x 28 digits to 32 x 32
            nn.Tanh(),
            nn.AvgPool2d(2, 2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2, 2),
            nn.Flatten(),  # (N, 400) for 28 x 28
            nn.Linear(16 * side * side, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.layers(x)


def l2_penalty(module: nn.Module) -> Tensor:
    r"""Return :math:`\frac12 \sum w^2` over the kernels of convolutions and dense layers, biases and scales left out."""
    kernels = [m.weight for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return 0.5 * torch.stack([k.square().sum() for k in kernels]).sum()


class PenalizedLearner(SupervisedLearner):
    """A supervised learner whose step adds ``scale`` times :func:`l2_penalty` to the loss."""

    def __init__(self, module: nn.Module, objective: Any, scale: float) -> None:
        super().__init__(module, objective)
        self.scale = scale

    def steps(self, batch: Batch) -> Steps:
        step = next(super().steps(batch))
        loss: Any = step.loss
        yield Step("model", loss + self.scale * l2_penalty(self.module), {"cross_entropy": loss.detach()})


class LeNet5Classifier(NeuralClassifier):
    r"""Two convolution and pooling stages, then dense layers, for small images.

    .. math:: \min_\theta -\frac1n \sum_i \log \mathrm{softmax}(f(x_i; \theta))_{y_i}
        + \text{l2} \cdot \frac12 \sum_{\text{kernels}} w^2

    Parameters
    ----------
    version : {"modern", "original"}, default "modern"
        :class:`LeNet5` with ReLU, max pooling, batch normalization and dropout, or :class:`OriginalLeNet5` of 1998.
    l2 : float >= 0, default 0.003
        Weight of half the squared norm of the kernels of convolutions and dense layers.
    others
        As for :class:`~fivefold.engine.estimator.NeuralClassifier`.

    Attributes
    ----------
    classes_, module_, schema_, history_, n_iter_
        As for :class:`~fivefold.engine.estimator.NeuralClassifier`.

    Raises
    ------
    DataError
        For rows that are not square images of shape (channels, size, size), with a size that the two poolings divide.
    InputError
        For an unknown version or a negative ``l2``.

    Notes
    -----
    The source's listing puts the logit layer inside the loop of hidden layers, never updates the moving averages of its batch
    normalization and shuffles rows in prediction; here the head follows the loop, averages are updated and order is kept.
    Binary problems have one logit.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner 1998, "Gradient-Based Learning Applied to Document Recognition". Spec: 02#lenet5, 08#lenet.
    """

    allow_nd: ClassVar[bool] = True

    def __init__(self, *, version: str = "modern", l2: float = 0.003, **common: Any) -> None:
        super().__init__(**common)
        self.version = version
        self.l2 = l2

    def build(self, schema: NetworkSchema) -> nn.Module:
        """Return the network for images of ``schema.input_shape``."""
        if self.version not in VERSIONS:
            raise InputError(f"version must be one of {', '.join(VERSIONS)}; got {self.version!r}.")
        if not self.l2 >= 0:
            raise InputError(f"l2 must be at least 0, got {self.l2}.")
        shape = schema.input_shape
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] % 4 or shape[1] < 12:
            raise DataError(
                f"LeNet-5 takes square images (channels, size, size) with a size of at least 12 that 4 divides, got {shape}; "
                "reshape the rows, for example X.reshape(-1, 1, 28, 28)."
            )
        network = LeNet5 if self.version == "modern" else OriginalLeNet5
        return network(schema.n_outputs, channels=shape[0], size=shape[1])

    def learner(self, module: nn.Module) -> SupervisedLearner:
        """Return a learner whose loss has the penalty on the kernels."""
        return PenalizedLearner(module, self.objective(), self.l2)
