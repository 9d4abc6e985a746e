"""Losses: gradients by finite differences, reductions, extremes, compilation."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fivefold.base.cards import Card
from fivefold.base.errors import FivefoldError, InputError
from fivefold.workbench.proof import Check


def _pair(card: Card) -> tuple[Tensor, Tensor]:
    """Return an input that needs gradients and a target, in float64."""
    generator = torch.Generator().manual_seed(0)
    form = card.experiment.get("target", "binary")
    if form == "class":
        x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
        return x.requires_grad_(), torch.arange(6) % 4
    x = torch.randn(6, generator=generator, dtype=torch.float64)
    if form == "real":
        return x.requires_grad_(), torch.randn(6, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), (torch.arange(6) % 2).double()


def _loss(card: Card, variant: str, **params: Any) -> Any:
    return card.load(variant)(**params)


def gradients(card: Card, variant: str) -> Check:
    """Gradients equal finite differences in float64; second ones too where the card says so."""
    x, y = _pair(card)
    loss = _loss(card, variant)
    ok = torch.autograd.gradcheck(lambda v: loss(v, y), (x,), raise_exception=False)
    if "twice-differentiable" in card.capabilities:
        ok = ok and torch.autograd.gradgradcheck(lambda v: loss(v, y), (x,), raise_exception=False)
    return Check(0 if ok else 1, 0, "failed gradient checks", "finite differences")


def reductions(card: Card, variant: str) -> Check:
    """The mean and the sum are those of the unreduced values, also weighted; float32 agrees with float64."""
    cls = card.load(variant)
    if "reduction" not in inspect.signature(cls.__init__).parameters:
        return Check(1, 0, "the loss has no `reduction`", "PyTorch's protocol")
    x, y = _pair(card)
    each = cls(reduction="none")(x, y)
    error = (cls(reduction="mean")(x, y) - each.mean()).abs() + (cls(reduction="sum")(x, y) - each.sum()).abs()
    target = y.float() if y.is_floating_point() else y
    single = cls(reduction="none")(x.detach().float(), target)
    # In float32 the values agree to 1e-6 of their size.
    error = error + (single.double() - each).abs().max() / each.detach().abs().max().clamp(min=1) * 1e-6
    if "sample-weight" in card.capabilities:
        weight = torch.arange(len(each), dtype=torch.float64)  # the first row counts nothing
        total = (weight * each).sum()
        error = error + (cls(reduction="none")(x, y, weight) - weight * each).abs().max()
        error = error + (cls(reduction="sum")(x, y, weight) - total).abs()
        error = error + (cls(reduction="mean")(x, y, weight) - total / weight.sum()).abs()
        error = error + cls(reduction="mean")(x, y, 0 * weight).abs()
    return Check(float(error.detach()), 1e-12, "max difference", "sum and mean of the values")


def extremes(card: Card, variant: str) -> Check:
    """At inputs of magnitude 1e4 value and gradient are finite, and in bfloat16 within 2 % of those in float64."""
    x, y = _pair(card)
    wild = (x.detach().sign() * 1e4).requires_grad_()
    half = wild.detach().bfloat16().requires_grad_()
    value, near = (card.load(variant)(reduction="none")(v, y) for v in (wild, half))
    value.sum().backward(), near.sum().backward()
    if wild.grad is None or half.grad is None:
        return Check(1, 0, "no gradient", "the real numbers")
    finite = bool(value.isfinite().all()) and bool(wild.grad.isfinite().all())
    # A loss below the rounding of float32, in which bfloat16 is computed, may come as 0.
    off = ((near.double() - value).abs() > 0.02 * value.abs() + 1e-6).sum()
    off = off + ((half.grad.double() - wild.grad).abs() > 0.02 * wild.grad.abs().max()).sum()
    wrong = int(off) + int(not finite) + int(near.dtype != torch.bfloat16)
    return Check(wrong, 0, "not finite or off by more than 2 %", "float64")


def empty(card: Card, variant: str) -> Check:
    """A batch without rows, and one of which all are ignored, costs 0 with a gradient of 0."""
    x, y = _pair(card)
    cls = card.load(variant)
    cases = [(cls(reduction=r), x.detach()[:0].clone(), y[:0]) for r in ("mean", "sum", "none")]
    if "ignore_index" in inspect.signature(cls.__init__).parameters:
        cases += [(cls(reduction=r), x.detach().clone(), torch.full_like(y, -100)) for r in ("mean", "sum", "none")]
        cases += [(cls(ignore_index=1), x.detach().clone(), torch.ones_like(y))]
    wrong = 0.0
    for loss, some, target in cases:
        value = loss(some.requires_grad_(), target)
        value.sum().backward()
        wrong += float(value.detach().abs().sum()) + (float(some.grad.abs().sum()) if some.grad is not None else 1.0)
        wrong += float(loss.reduction != "none" and not value.ndim <= 0)
    return Check(wrong, 0, "sum of values and slopes", "the stated results")


def refusals(card: Card, variant: str) -> Check:
    """Wrong shapes, types, targets and parameters are refused in one sentence that names what came."""
    x, y = _pair(card)
    x = x.detach()
    loss = _loss(card, variant)
    cases: list[tuple[Callable[[], Any], tuple[str, ...]]] = [
        (lambda: loss(x, y[:-1]), ("6", "5")),
        (lambda: loss(x[None], y), ("1", "6")),
        (lambda: loss(x.long(), y), (type(loss).__name__, "int64")),
        (lambda: loss(x.tolist(), y), (type(loss).__name__, "list")),
        (lambda: _loss(card, variant, reduction="average"), ("reduction", "average")),
    ]
    if card.experiment.get("target", "binary") == "binary":
        cases.append((lambda: loss(x, y + 0.5), (type(loss).__name__, "takes targets", "1;")))
    if not y.is_floating_point():
        cases.append((lambda: loss(x, y.double()), ("float64",)))
    for name, parameter in inspect.signature(card.load(variant).__init__).parameters.items():
        if type(parameter.default) in (int, float) and name != "ignore_index":
            cases.append((lambda name=name: _loss(card, variant, **{name: float("nan")}), (name, "nan")))  # type: ignore[misc]
    return Check(sum(_unclear(*case) for case in cases), 0, "unclear refusals", "the words")


def _unclear(call: Callable[[], Any], words: tuple[str, ...]) -> bool:
    """Tell whether a call is taken, or refused without the words in one sentence."""
    try:
        call()
    except FivefoldError as error:
        return not all(word in str(error) for word in words) or not str(error).endswith(".")
    return True


_DEFAULT = r"""default ("[^"]+"|None|True|False|e$|-?[\d.,]*\d(?:e-?\d+)?)|(\S+) \(default\)|(optional)"""


def _said(method: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstrings of a class and of those that it refines say of each parameter."""
    said: dict[str, str] = {}
    for parent in reversed(getattr(method, "__mro__", (method,))):
        for names, words in re.findall(r"^ {4}(\w[\w, ]*) : (.*)$", parent.__doc__ or "", flags=re.MULTILINE):
            said.update(dict.fromkeys(names.split(", "), words))
    return said


def documented(method: Callable[..., Any]) -> list[str]:
    """Return the parameters of a class or function whose default is not the one in the docstring."""
    said = _said(method)
    wrong = []
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            continue
        words = said.get(name, "")
        stated = re.search(_DEFAULT, words)
        value = next((group for group in stated.groups() if group), "") if stated else ""
        value = {"optional": "None", "e": repr(math.e)}.get(value, value.strip('"'))
        if not stated or str(parameter.default) != value and _number(value) != parameter.default:
            wrong.append(name)
    return wrong


def _number(words: str) -> float | None:
    try:
        return float(words.replace(",", ""))
    except ValueError:
        return None


def misjudged(method: Callable[..., Any], given: dict[str, Any]) -> list[str]:
    """Return the parameters that take a number outside of the documented range, or refuse one on or within its border."""
    wrong = []
    for name, words in _said(method).items():
        found = _RANGE.search(words)
        if (
            not found
            or words.startswith("sequence")
            or "optional" in words
            or name not in inspect.signature(method).parameters
        ):
            continue
        kind = int if words.startswith("int") else float
        opening, low, high, closing, sign, border = found.groups()
        ends = [(low, opening == "[", -1), (high, closing == "]", 1)] if low else [(border, sign == ">=", -1)]
        for end, inside, side in ends:
            value = kind(math.pi / 2 if end == "π/2" else float(end))
            step = side * (1 if kind is int else 1e-9)
            refused = [_refused(method, {**given, name: value + place * step}, name) for place in (-1, 0, 1)]
            if refused != [False, not inside, True]:
                wrong.append(f"{name} at {end}")
    return wrong


_RANGE = re.compile(r"in ([\[(])(-?[\d.]+), ([\d.]+|π/2)([\])])|(>=?) (-?[\d.]+)")


def _refused(method: Callable[..., Any], given: dict[str, Any], name: str) -> bool:
    try:
        method(**given)
    except InputError as error:
        return name in str(error)
    return False


def ranges(card: Card, variant: str) -> Check:
    """Parameters are refused exactly outside of the documented ranges."""
    wrong = misjudged(card.load(variant), {})
    return Check(len(wrong), 0, f"ranges that differ {wrong}", "the docstring")


def defaults(card: Card, variant: str) -> Check:
    """The defaults are those of the documentation."""
    wrong = documented(card.load(variant))
    return Check(len(wrong), 0, f"defaults that differ {wrong}", "the docstring")


def compiled(card: Card, variant: str, backend: str = "aot_eager", bound: float = 1e-12) -> Check:
    """torch.compile in one graph (back end aot_eager) gives the same value and gradient."""
    x, y = _pair(card)
    loss = _loss(card, variant)
    torch.compiler.reset()
    together = torch.compile(_loss(card, variant), fullgraph=True, backend=backend)(x, y)
    alone = loss(x, y)
    (slope,), (expected,) = torch.autograd.grad(together, x), torch.autograd.grad(alone, x)
    error = (together - alone).detach().abs() + (slope - expected).abs().max()
    return Check(float(error), bound, "max difference", "the loss itself")


def compiled_inductor(card: Card, variant: str) -> Check:
    """torch.compile in one graph to machine code (back end inductor) gives the same value and gradient."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # PyTorch's own compiler warns; where warnings are errors it would break off
        # Sums are reordered and functions are other approximations, by parts in 1e15 each.
        return compiled(card, variant, "inductor", 1e-10)


LOSS = {
    "gradients": gradients,
    "reductions": reductions,
    "extremes": extremes,
    "empty": empty,
    "refusals": refusals,
    "ranges": ranges,
    "defaults": defaults,
    "compiled": compiled,
}

SLOW_LOSS = {"compiled-inductor": compiled_inductor}
