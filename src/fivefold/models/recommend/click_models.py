"""What a click model of one's own is built from: the estimator, the network on embedded fields and its parts."""

from ._base import CTRModel
from ._inputs import FieldNetwork, Layout, perceptron, width_after

__all__ = ["CTRModel", "FieldNetwork", "Layout", "perceptron", "width_after"]
