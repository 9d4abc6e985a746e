"""The step of the Adam family: one kernel that passes over memory once on a CPU, fused tensor lists elsewhere."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fivefold.base.checks import check_number
from fivefold.base.jit import njit

from ._base import check_betas, zeros
from ._sweep import SweptOptimizer, column

MEAN, LARGEST, SIGN, NORM = 0, 1, 2, 3
"""Rules of the second moment: running mean, its largest value so far (AMSGrad), Yogi's, infinity norm (AdaMax)."""


class Sizes(NamedTuple):
    """One step in numbers: x -= outer * clip(1 / D, low, high) * (mean * m + grad * g)."""

    mean: float
    grad: float = 0.0
    root: float = 1.0  # D = sqrt(v) / root + eps, or sqrt(v + eps) inside
    eps: float = 0.0
    inside: bool = False
    adaptive: bool = True  # False: D = 1
    low: float = 0.0
    high: float = np.inf
    outer: float = 1.0


@functools.cache
def _kernel(rule: int, inside: bool, adaptive: bool, bounded: bool, with_grad: bool) -> Any:
    """Return the kernel of one form; its switches are constants of the compiled loop, which is how it vectorizes."""

    @njit(error_model="numpy", fastmath={"contract"})
    def kernel(table, numbers):  # type: ignore[no-untyped-def]
        for row in range(len(table)):
            p, g, m = column(table, row, 0, numbers), column(table, row, 1, numbers), column(table, row, 2, numbers)
            v = column(table, row, 3, numbers)
            top = column(table, row, 4, numbers) if rule == LARGEST else v
            n = numbers[row]
            sign, l2, keep, rest1, b2, rest2 = n[0], n[1], n[2], n[3], n[4], n[5]
            a, b, r, eps, low, high, outer, tiny = n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13]
            zero = l2 - l2
            for i in range(p.size):
                x = p[i] * keep
                d = sign * g[i] + l2 * x
                mean = m[i] + rest1 * (d - m[i])
                m[i] = mean
                square = d * d
                if rule == SIGN:
                    s = v[i]
                    s = s - rest2 * square * np.sign(s - square)
                elif rule == NORM:
                    s = max(v[i] * b2, abs(d) + tiny)
                else:
                    s = b2 * v[i] + rest2 * square
                v[i] = s
                if rule == LARGEST:
                    s = max(top[i], s)
                    top[i] = s
                move = a * mean
                if with_grad:
                    move = move + b * d
                if adaptive:
                    if rule == NORM:
                        s = s + eps
                    else:
                        s = np.sqrt(s + eps) if inside else np.sqrt(s) * r + eps
                    if bounded:
                        move = min(max(a / s, low), high) * outer * mean
                    elif rule == NORM:
                        move = move / s if s > zero else zero
                    else:
                        move = move / s
                p[i] = x - move

    return kernel


class AdamFamily(SweptOptimizer):
    """Base of the methods that step along ``m / sqrt(v)``: a method gives ``_sizes`` for a step number."""

    rule: ClassVar[int] = MEAN
    bounded: ClassVar[bool] = False
    with_grad: ClassVar[bool] = False
    """Whether the step goes along the gradient too, beside its mean."""

    names: ClassVar[tuple[str, str]] = ("exp_avg", "exp_avg_sq")

    def _check(self, group: dict[str, Any]) -> None:
        check_betas(self._name, group)
        check_number(f"{self._name}: eps", group["eps"], 0.0, above=True)

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {name: zeros(p) for name in self.names}
        if self._rule(group) == LARGEST:
            state["max_exp_avg_sq"] = zeros(p)
        return state

    def _rule(self, group: dict[str, Any]) -> int:
        return self.rule

    def _tiny(self, group: dict[str, Any]) -> float:
        """Return what the infinity norm adds to each |g|."""
        return 0.0

    def _sizes(self, group: dict[str, Any], state: dict[str, Any], t: float) -> Sizes:
        raise NotImplementedError

    def _beta1(self, group: dict[str, Any], t: float) -> float:
        return float(group["betas"][0])

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return (*self.names, "max_exp_avg_sq") if self._rule(group) == LARGEST else self.names

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        t = float(state["step"])
        z = self._sizes(group, state, t)
        kernel = _kernel(self._rule(group), z.inside, z.adaptive, self.bounded, self.with_grad)
        rest1, beta2 = 1 - self._beta1(group, t), float(group["betas"][1])
        moments = (rest1, beta2, 1 - beta2, z.mean, z.grad, 1 / z.root, z.eps)
        return kernel, (*moments, z.low, z.high, z.outer, self._tiny(group))

    def _update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]]
    ) -> None:
        """Do the same with lists of tensors, a few kernels for all parameters of a group."""
        rule, beta2 = self._rule(group), float(group["betas"][1])
        means, squares = ([state[name] for state in states] for name in self.names)
        steps = [float(state["step"]) for state in states]
        sizes = [self._sizes(group, state, t) for state, t in zip(states, steps, strict=True)]
        for mean, grad, t in zip(means, grads, steps, strict=True):
            mean.lerp_(grad.to(mean.dtype), 1 - self._beta1(group, t))
        if rule == NORM:
            torch._foreach_mul_(squares, beta2)
            torch._foreach_maximum_(squares, list(torch._foreach_add(torch._foreach_abs(grads), self._tiny(group))))
        elif rule == SIGN:
            new = list(torch._foreach_mul(grads, grads))
            signs = torch._foreach_sign(torch._foreach_sub(squares, new))
            torch._foreach_addcmul_(squares, signs, new, -(1 - beta2))
        else:
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
        if rule == LARGEST:
            largest = [state["max_exp_avg_sq"] for state in states]
            torch._foreach_maximum_(largest, squares)
            squares = largest
        for p, g, m, s, z in zip(params, grads, means, squares, sizes, strict=True):
            move = m * z.mean + g * z.grad if self.with_grad else m * z.mean
            if z.adaptive:
                if rule == NORM:
                    s = s + z.eps
                else:
                    s = (s + z.eps).sqrt_() if z.inside else (s.sqrt() / z.root).add_(z.eps)
                if self.bounded:
                    move = (z.mean / s).clamp_(z.low, z.high) * z.outer * m
                else:
                    move = torch.where(s > 0, move / s, torch.zeros_like(move))
            p.sub_(move)
