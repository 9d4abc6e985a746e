"""Layers: gradients by finite differences, state, compilation in one graph, and sentences for what does not fit."""

from __future__ import annotations

import copy
import inspect
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fivefold.base.cards import Card
from fivefold.base.errors import FivefoldError
from fivefold.workbench.layers import build_layer, first_output, layer_facts, layer_inputs
from fivefold.workbench.proof import Check


def _layer(
    card: Card, variant: str, changed: Mapping[str, Any] | None = None
) -> tuple[torch.nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    facts = layer_facts(card, variant)
    layer = build_layer(card, variant, {**facts.get("params", {}), **(changed or {})}).double()
    return layer, layer_inputs(facts, torch.Generator().manual_seed(0))


def gradients(card: Card, variant: str) -> Check:
    """Gradients to input and parameters equal finite differences in float64; second ones too where the card says so."""
    layer, inputs = _layer(card, variant)
    names = [n for n, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_() for _, p in layer.named_parameters()]
    buffers = {n: b.detach().clone() for n, b in layer.named_buffers()}

    def call(*given: Tensor) -> Tensor:
        # Buffers are put back and the seed is fixed, so that running statistics and masks are the same in every evaluation.
        torch.manual_seed(0)
        held = {**{n: b.clone() for n, b in buffers.items()}, **dict(zip(names, given[len(inputs) :]))}
        return first_output(torch.func.functional_call(layer, held, given[: len(inputs)]))

    given = (*(x.requires_grad_() if x.is_floating_point() else x for x in inputs), *values)
    if not any(v.requires_grad for v in given):
        return Check(1, 0, "nothing to differentiate", "finite differences")
    # Fused attention has no second derivative; its plain form has both.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        ok = torch.autograd.gradcheck(call, given, raise_exception=False)
        if "twice-differentiable" in card.capabilities:
            ok = ok and torch.autograd.gradgradcheck(call, given, raise_exception=False)
    return Check(0 if ok else 1, 0, "failed gradient checks", "finite differences")


def state(card: Card, variant: str) -> Check:
    """The state of one layer put into another gives the same output."""
    layer, inputs = _layer(card, variant)
    layer(*inputs)
    other, _ = _layer(card, variant)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    other.load_state_dict(layer.state_dict())
    layer.eval(), other.eval()
    outputs = []
    for each in (layer, other):
        torch.manual_seed(0)
        outputs.append(first_output(each(*inputs)).detach())
    return Check(float((outputs[0] - outputs[1]).abs().max()), 0, "max difference", "the layer itself")


def _answers(layer: Any, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Return the output with the gradients of a sum in which every number counts differently."""
    given = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    torch.manual_seed(0)
    out = first_output(layer(*given))
    wanted = [v for v in (*given, *layer.parameters()) if v.requires_grad]
    weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype, device=out.device).view_as(out).cos()
    slopes = torch.autograd.grad((out * weights).sum(), wanted, allow_unused=True)
    return [out.detach(), *(torch.zeros(()) if g is None else g for g in slopes)]


def _compiled(card: Card, variant: str, backend: str, bound: float) -> Check:
    """Compare the compiled layer with the plain one: outputs, gradients and what it keeps, in training and evaluation."""
    facts = layer_facts(card, variant)
    layer, inputs = _layer(card, variant, facts.get("compile"))
    worst = 0.0
    for training in (True, False):
        alone = copy.deepcopy(layer).train(training)
        other = copy.deepcopy(layer).train(training)
        torch.compiler.reset()
        try:
            found = _answers(torch.compile(other, fullgraph=True, backend=backend), inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            # The card says why; a layer whose card does not is to be compiled.
            return Check(
                0 if "uncompiled" in facts else 1,
                0,
                f"graphs that break without a stated reason: {str(error)[:300]}",
                "the card",
            )
        pairs = [*zip(found, _answers(alone, inputs), strict=True), *zip(other.buffers(), alone.buffers(), strict=True)]
        for a, b in pairs:
            difference = float((a.double() - b.double()).abs().max())
            worst = worst if difference <= worst else difference  # NaN is worse than any
    if "uncompiled" in facts:
        return Check(1, 0, "exceptions on a card that are none: it compiles", "the card")
    return Check(worst, bound, "max difference", "the layer itself")


def compiled(card: Card, variant: str) -> Check:
    """torch.compile in one graph (back end aot_eager) gives the same outputs and gradients, or the card says why it cannot."""
    return _compiled(card, variant, "aot_eager", 1e-12)


def compiled_inductor(card: Card, variant: str) -> Check:
    """torch.compile in one graph to machine code (back end inductor) gives the same outputs and gradients."""
    # Its own random numbers would be others; sums are reordered, by parts in 1e15 each.
    with torch._inductor.config.patch(fallback_random=True), warnings.catch_warnings():
        warnings.simplefilter("default")  # PyTorch's own compiler warns; where warnings are errors it would break off
        return _compiled(card, variant, "inductor", 1e-10)


def _values(value: Any) -> tuple[Any, ...]:
    """Return values that a parameter with this usual value hardly takes."""
    if isinstance(value, bool) or value is None:
        return ()
    if isinstance(value, int):
        return (0, -1, 2.5)
    if isinstance(value, float):
        return (-1.0, float("nan"))
    return ("no such word",) if isinstance(value, str) else ()


def _shapes(x: Tensor) -> Iterator[Tensor]:
    """Yield the tensor with every axis longer and shorter by one, with an axis more, an axis less, and as a single number."""
    for axis in range(x.ndim):
        yield torch.cat([x, x.narrow(axis, 0, 1)], axis)
        if x.shape[axis] > 1:
            yield x.narrow(axis, 0, x.shape[axis] - 1)
    yield from (x[None], x[0], x.flatten()[0])


def _unclear(make: Any, said: tuple[str, ...]) -> str:
    """Return what is wrong with how a call takes or refuses something, or nothing."""
    try:
        out = first_output(make())
    except FivefoldError as error:
        sentence = str(error)
        clear = sentence.endswith(".") and "\n" not in sentence and any(word in sentence for word in said)
        return "" if clear else f"unclear: {sentence!r}"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return "" if bool(torch.isfinite(out).all()) else "taken, and not finite"


def refusals(card: Card, variant: str) -> Check:
    """What does not fit is refused in one sentence that says what came; what is taken instead gives finite numbers."""
    layer, inputs = _layer(card, variant)
    trials: list[tuple[str, Any, tuple[str, ...]]] = []
    for number, x in enumerate(inputs):

        def call(other: Tensor, number: int = number) -> Any:
            return copy.deepcopy(layer)(*(other if number == n else v for n, v in enumerate(inputs)))

        kind = x.double() if not x.is_floating_point() else (4 * x).long()
        trials.append((str(kind.dtype), lambda k=kind, c=call: c(k), (str(kind.dtype),)))
        for other in _shapes(x):
            trials.append((str(tuple(other.shape)), lambda o=other, c=call: c(o), (str(tuple(other.shape)),)))
    usual = {n: p.default for n, p in inspect.signature(card.load(variant)).parameters.items()}
    for name, value in {**usual, **layer_facts(card, variant).get("params", {})}.items():
        for bad in _values(value):

            def build(name: str = name, bad: Any = bad) -> Any:
                return _layer(card, variant, {name: bad})[0](*inputs)

            trials.append((f"{name}={bad!r}", build, (repr(bad), str(bad))))
    passed_on = layer_facts(card, variant).get("unchecked", ())
    trials = [trial for trial in trials if trial[0].partition("=")[0] not in passed_on]
    found = [f"{what} {wrong}" for what, make, said in trials if (wrong := _unclear(make, said))]
    return Check(len(found), 0, f"unclear of {len(trials)}: {'; '.join(found)[:1500]}", "house rule")


def _stated(cls: Any) -> dict[str, Any]:
    """Return the defaults by the words of a docstring: as text where they are stated, as values where another class has them."""
    doc = inspect.getdoc(cls) or ""
    found: dict[str, Any] = {}
    for names, words, other in re.findall(
        r"^(\w+(?:, \w+)*)(?: : (.*))?(?:\n +As for :class:`[~.]?(\w+)`)?", doc, re.M
    ):
        each = names.split(", ")
        if other:
            usual = inspect.signature(getattr(inspect.getmodule(cls), other)).parameters
            found.update({name: usual[name].default for name in each if name in usual})
        elif words.endswith("optional"):
            found.update(dict.fromkeys(each, "None"))
        elif "default " in words:
            # "a, b, c : int, default 1, 0 after the first" states those of b and c.
            values = words.partition("default ")[2].partition(" after")[0].split(", ")
            found.update(zip(each[len(each) - len(values) :], values))
    return found


def defaults(card: Card, variant: str) -> Check:
    """Every default of the signature is the one that the docstring states."""
    stated, wrong = _stated(card.load(variant)), []
    for name, parameter in inspect.signature(card.load(variant)).parameters.items():
        value = parameter.default
        if value is inspect.Parameter.empty:
            continue
        said = stated.get(name)
        if isinstance(said, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
            same = float(said) == value
        else:
            same = said is not None and str(said).strip('"') == str(value)
        wrong += [] if same or (value is None and name in stated and said is None) else [f"{name}={value!r}"]
    return Check(len(wrong), 0, f"defaults that are not as stated: {', '.join(wrong)}", "the docstring")


LAYER = {
    "gradients": gradients,
    "state": state,
    "compiled": compiled,
    "refusals": refusals,
    "defaults": defaults,
}
SLOW_LAYER = {"compiled-inductor": compiled_inductor}
"""Needs a compiler of C++; :func:`has_compiler`."""


def has_compiler() -> bool:
    """Whether this machine has a compiler that inductor can use."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
