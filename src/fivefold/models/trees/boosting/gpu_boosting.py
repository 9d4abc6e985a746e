"""Boosting with histograms on a graphics card (Zhang, Si & Hsieh 2017)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from ._binned import Binned
from ._boosted import Plan
from ._core import Grower
from ._device import DeviceGrower, chosen_device
from ._extended import extends
from ._losses import Loss
from .lightgbm import LGBMClassifier, LGBMRegressor, _LightGBM


class _OnDevice(_LightGBM):
    """A fit whose histograms are summed on a device."""

    _ALIASES: ClassVar[dict[str, str]] = _LightGBM._ALIASES | {"device_type": "device"}
    device: str

    def _plan_with(self, loss: Loss, d: int, default_metric: str) -> Plan:
        self.device_ = str(chosen_device(self.device))
        return replace(super()._plan_with(loss, d, default_metric), bundle=False)

    def _grower(self, table: Binned, plan: Plan, threads: int) -> Grower:
        grower = DeviceGrower(table, plan.growth, threads, plan.monotone, plan.groups)
        return grower.on(chosen_device(self.device))


class GPUBoostingRegressor(_OnDevice, LGBMRegressor):
    r"""Regression by histogram boosting whose histograms are summed on a graphics card.

    .. math:: G_{f, b} = \sum_{i:\, bin_f(i) = b} g_i, \qquad H_{f, b} = \sum_{i:\, bin_f(i) = b} h_i

    are scattered additions of torch; splits are searched on the host. Gradients are whole numbers of 31 bits, whose sums do
    not depend on their order, so the trees are those of :class:`LGBMRegressor`, bit for bit, on any device.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}, default "auto"
        "auto" takes CUDA where torch finds it, else the CPU; "gpu" is another word for "cuda".
    **params
        Those of :class:`LGBMRegressor`.

    Attributes
    ----------
    device_ : str
        Where histograms were summed.

    Raises
    ------
    InputError
        A device that is not there, or another parameter outside its range.

    Notes
    -----
    The paper sums 32-bit floats on the card, whose order and so whose last digits vary from run to run.

    References
    ----------
    Zhang, Si & Hsieh, GPU-acceleration for large-scale tree boosting, 2017; ``01#gpu-tree-boosting``.

    Examples
    --------
    >>> model = GPUBoostingRegressor(n_estimators=50, min_child_samples=1, device="cpu")
    >>> model.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 4, 4]).predict([[0.2], [2.9]]).round(1).tolist()
    [0.0, 4.0]
    """

    @extends(LGBMRegressor)
    def __init__(self, *, device: str = "auto", **params: Any) -> None:
        self.device = device
        super().__init__(**params)


class GPUBoostingClassifier(_OnDevice, LGBMClassifier):
    """Classification by histogram boosting on a graphics card; see :class:`GPUBoostingRegressor`."""

    @extends(LGBMClassifier)
    def __init__(self, *, device: str = "auto", **params: Any) -> None:
        self.device = device
        super().__init__(**params)
