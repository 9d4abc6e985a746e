"""What every gradient optimizer shares: the loop over groups, closures, weight decay, ``maximize``, sparse rows, state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from fivefold.base.checks import check_number
from fivefold.base.errors import InputError

from ._checks import dense

CONVENTIONS = ("torch", "keras", "paper")


class GradientOptimizer(Optimizer):
    """Base of the gradient optimizers: a method gives ``_check``, ``_fresh`` and ``_update``.

    Every group has ``lr``, ``weight_decay``, ``decoupled_weight_decay`` and ``maximize``. Coupled decay adds
    ``weight_decay * p`` to the gradient; decoupled decay multiplies ``p`` by ``1 - lr * weight_decay`` before the step.
    """

    by_rows: ClassVar[bool] = False
    """Whether a step with a sparse gradient touches the rows it names only, and that is the method."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        defaults = {"weight_decay": 0.0, "decoupled_weight_decay": False, "maximize": False, **defaults}
        self._check_group(defaults)
        super().__init__(params, defaults)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, after checking its hyperparameters."""
        if isinstance(param_group, dict):
            self._check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def _check_group(self, group: dict[str, Any]) -> None:
        check_number(f"{self._name}: lr", float(group["lr"]), 0.0)
        check_number(f"{self._name}: weight_decay", group["weight_decay"], 0.0)
        self._check(group)

    def _check(self, group: dict[str, Any]) -> None:
        """Refuse the method's own hyperparameters when they are out of range."""

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """Return the state of a parameter before its first step."""
        return {}

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        """Step; gradients have their sign and coupled decay already, and ``states`` their new step count."""
        raise NotImplementedError

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Update the parameters that have a gradient; return what ``closure`` returned, if one was given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            rows = [p for p in params if p.grad.is_sparse]
            if rows and not self.by_rows:
                dense(self._name, [p.grad for p in rows])
            full = [p for p in params if not p.grad.is_sparse]
            if full:
                self._dense(group, full, [p.grad for p in full])
            for p in rows:
                self._rows(group, p, p.grad.coalesce())
        return loss

    def _states(self, group: dict[str, Any], params: list[Tensor]) -> list[dict[str, Any]]:
        states = [self.state[p] for p in params]
        counted = self._counts(group)
        for p, state in zip(params, states, strict=True):
            if not state or (counted and "step" not in state):
                count = {"step": torch.zeros((), dtype=torch.float32)} if counted else {}
                state.update({**count, **self._fresh(p, group), **state})
        if counted:
            torch._foreach_add_([state["step"] for state in states], 1)
        return states

    def _counts(self, group: dict[str, Any]) -> bool:
        """Tell whether the method needs the number of steps done; torch's SGD, whose states load here, has none."""
        return True

    def _dense(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        self._listed(group, params, grads, self._states(group, params))

    def _listed(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        """Step with lists of tensors: sign and decay, then the method."""
        if group["maximize"]:
            grads = list(torch._foreach_neg(grads))
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                torch._foreach_mul_(params, 1 - float(group["lr"]) * group["weight_decay"])
            else:
                grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
        self._update(group, params, grads, states)

    def _rows(self, group: dict[str, Any], p: Tensor, grad: Tensor) -> None:
        """Step with the rows a coalesced sparse gradient names; a row never looked up costs nothing."""
        self._check_rows(group, grad)
        self._step_rows(group, p, self._states(group, [p])[0], grad.indices()[0], grad.values())

    def _step_rows(
        self, group: dict[str, Any], p: Tensor, state: dict[str, Any], index: Tensor, values: Tensor
    ) -> None:
        """Step the rows ``index`` (k,) of p along ``values`` (k, *row)."""
        part = {k: v[index] if torch.is_tensor(v) and v.shape == p.shape else v for k, v in state.items()}
        some = p[index]
        self._update(group, [some], [-values if group["maximize"] else values], [part])
        p.index_copy_(0, index, some)
        for name, value in part.items():
            if value is not state[name]:
                state[name].index_copy_(0, index, value)

    def _check_rows(self, group: dict[str, Any], grad: Tensor) -> None:
        """Refuse a sparse gradient that is not one in rows, and decay, which would touch every row."""
        if group["weight_decay"] != 0:
            raise InputError(f"{self._name} cannot decay weights under a sparse gradient; set weight_decay=0.")
        if grad.sparse_dim() != 1:
            raise InputError(
                f"{self._name} takes gradients that are sparse in their rows; this one is in {grad.sparse_dim()} dimensions."
            )


def hyperparameters(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters among the ``locals()`` of a constructor: the defaults of its groups."""
    return {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}


def zeros(p: Tensor, value: float = 0.0) -> Tensor:
    """Return a tensor like ``p`` filled with ``value``."""
    return torch.full_like(p, value, memory_format=torch.preserve_format)


def check_betas(owner: str, group: dict[str, Any]) -> None:
    """Refuse betas that are not a pair in [0, 1)."""
    betas = group["betas"]
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise InputError(f"{owner}: betas must be a pair of floats in [0, 1), got {betas!r}.")
    check_number(f"{owner}: betas[0]", betas[0], 0.0, 1.0, below=True)
    check_number(f"{owner}: betas[1]", betas[1], 0.0, 1.0, below=True)


def check_convention(owner: str, group: dict[str, Any], known: tuple[str, ...] = CONVENTIONS) -> None:
    """Refuse an unknown convention."""
    if group["convention"] not in known:
        raise InputError(f"{owner}: convention must be one of {', '.join(known)}; got {group['convention']!r}.")
