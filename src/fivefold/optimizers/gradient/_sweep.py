"""One pass over memory a step: compiled kernels that walk all parameters of a group, shared among threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import torch
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from fivefold.base.errors import InputError
from fivefold.base.jit import njit

from ._base import GradientOptimizer

WIDTHS = {torch.float32: np.float32, torch.float64: np.float64}
SHARED_FROM = 1 << 17
"""Elements below which a second thread costs more than it saves."""
PARTS = 4


@intrinsic
def _pointer(context: Any, address: Any) -> Any:
    def build(ctx: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.uintp), build


@njit
def column(table, row, slot, numbers):  # type: ignore[no-untyped-def]
    """Return the tensor of one row and slot as a flat array of the dtype of ``numbers``; the slots are those of `sweep`."""
    return carray(_pointer(np.uintp(table[row, slot + 1])), (table[row, 0],), numbers.dtype)


@functools.cache
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    # Keyed by the process: a fork takes over the object but not its threads.
    return ThreadPoolExecutor(workers, thread_name_prefix="fivefold-step")


def sweep(kernel: Callable[[np.ndarray, np.ndarray], None], slots: list[list[Tensor]], numbers: np.ndarray) -> None:
    """Call ``kernel(table, numbers)`` on all parameters, in even parts on torch's number of threads.

    Parameters
    ----------
    kernel : compiled function of a table and its numbers
        Row by row it takes its arrays with :func:`column`. It works element by element, so the parts may split a tensor.
    slots : lists of n tensors
        Parameters, gradients, then each kind of state: contiguous, on the CPU, of one dtype.
    numbers : float array of shape (n, k)
        What the kernel reads for each parameter, in the dtype of the tensors.
    """
    table = np.empty((len(slots[0]), 1 + len(slots)), dtype=np.int64)
    table[:, 0] = [p.numel() for p in slots[0]]
    for i, tensors in enumerate(slots):
        table[:, 1 + i] = [t.data_ptr() for t in tensors]
    _share(kernel, table, numbers)


def sweep_rows(
    kernel: Callable[[np.ndarray, np.ndarray], None],
    tensors: list[Tensor],
    index: Tensor,
    values: Tensor,
    numbers: np.ndarray,
) -> None:
    """Do the same for the rows ``index`` (k,) alone, each as if it were a parameter with its gradient in ``values``.

    Parameters
    ----------
    tensors : list of tensors
        The parameter and each kind of state, as for :func:`sweep`.
    values : (k, *row)
    numbers : float array of shape (1, m)
    """
    p = tensors[0]
    size = p[0].numel()
    rows = index.numpy() * (size * p.element_size())
    table = np.empty((len(rows), 2 + len(tensors)), dtype=np.int64)
    table[:, 0] = size
    for slot, t in zip((1, *range(3, 2 + len(tensors))), tensors):
        table[:, slot] = t.data_ptr() + rows
    table[:, 2] = values.data_ptr() + np.arange(len(rows)) * (size * p.element_size())
    _share(kernel, table, np.repeat(numbers, len(rows), axis=0))


def _share(kernel: Callable[[np.ndarray, np.ndarray], None], table: np.ndarray, numbers: np.ndarray) -> None:
    """Call the kernel, in even parts on torch's number of threads where there is enough to do."""
    total, threads = int(table[:, 0].sum()), torch.get_num_threads()
    if threads == 1 or total < SHARED_FROM:
        kernel(table, numbers)
        return
    # Several parts a thread, taken as each gets free: a core that is also wanted elsewhere does less of them.
    each(kernel, _parts(table, numbers, -(-total // (PARTS * threads))), threads)


def each(function: Callable[..., None], parts: list[Any], threads: int) -> None:
    """Call ``function(*part)`` for all parts, on so many threads."""
    rest = iter(parts)

    def work() -> None:
        for part in rest:
            function(*part)

    waiting = [_pool(os.getpid(), threads - 1).submit(work) for _ in range(threads - 1)]
    work()
    for one in waiting:
        one.result()


def _parts(table: np.ndarray, numbers: np.ndarray, share: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut the rows, laid end to end, after every ``share`` elements."""
    ends = np.cumsum(table[:, 0])
    starts = ends - table[:, 0]
    parts = []
    for low in range(0, int(ends[-1]), share):
        rows = np.flatnonzero((starts < low + share) & (ends > low))
        part, first = table[rows].copy(), np.maximum(starts[rows], low)
        part[:, 0] = np.minimum(ends[rows], low + share) - first
        part[:, 1:] += ((first - starts[rows]) * numbers.itemsize)[:, None]
        parts.append((part, numbers[rows]))
    return parts


class SweptOptimizer(GradientOptimizer):
    """Base of the methods with a compiled step: a method gives ``_slots`` and ``_form``, and ``_update`` for other devices."""

    own_form: ClassVar[bool] = False
    """Whether parameters of one group and step number can still differ in their form."""

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Return the names of the states that the kernel reads and writes, in its order."""
        raise NotImplementedError

    def _form(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        """Return the kernel of one parameter's step and its numbers after the sign and the two decays."""
        raise NotImplementedError

    def _dense(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        states = self._states(group, params)
        slots = self._slots(group)
        decay = (-1.0 if group["maximize"] else 1.0, *decays(group))
        counted = self._counts(group)
        known: dict[float, tuple[Any, tuple[float, ...]]] = {}
        ready: dict[tuple[Any, torch.dtype], tuple[list[list[Tensor]], list[tuple[float, ...]]]] = {}
        rest: list[int] = []
        for i, (p, g, state) in enumerate(zip(params, grads, states, strict=True)):
            tensors = [p, g, *[state[name] for name in slots]]
            if not alike(tensors):
                self._check_state(slots, tensors)
                rest.append(i)
                continue
            t = float(state["step"]) if counted else 0.0
            form = known.get(t)
            if form is None or self.own_form:
                form = known[t] = self._form(group, state)
            rows = ready.setdefault((form[0], p.dtype), ([], []))
            rows[0].append(tensors)
            rows[1].append(form[1])
        for (kernel, dtype), (tensors, numbers) in ready.items():
            wide = np.empty((len(numbers), 3 + len(numbers[0])), dtype=WIDTHS[dtype])
            wide[:, :3] = decay
            wide[:, 3:] = numbers[0] if all(row is numbers[0] for row in numbers) else numbers
            sweep(kernel, [list(slot) for slot in zip(*tensors)], wide)
            torch.autograd.graph.increment_version([row[0] for row in tensors])
        if rest:
            self._listed(group, [params[i] for i in rest], [grads[i] for i in rest], [states[i] for i in rest])

    def _step_rows(
        self, group: dict[str, Any], p: Tensor, state: dict[str, Any], index: Tensor, values: Tensor
    ) -> None:
        slots = self._slots(group)
        tensors = [p, *(state[name] for name in slots)]
        if not alike(tensors) or not values.is_contiguous() or values.dtype != p.dtype:
            super()._step_rows(group, p, state, index, values)
            return
        kernel, numbers = self._form(group, state)
        wide = np.array([(-1.0 if group["maximize"] else 1.0, *decays(group), *numbers)], dtype=WIDTHS[p.dtype])
        sweep_rows(kernel, tensors, index, values, wide)
        torch.autograd.graph.increment_version(tensors)

    def _check_state(self, slots: tuple[str, ...], tensors: list[Tensor]) -> None:
        """Refuse a state that is not like its parameter: the kernel trusts its sizes and types."""
        p = tensors[0]
        for name, state in zip(slots, tensors[2:], strict=True):
            if state.shape != p.shape or state.dtype != p.dtype or state.device != p.device:
                raise InputError(
                    f"{self._name}: the state {name!r} is {_words(state)} and its parameter {_words(p)}; load the state of the "
                    "same model, and convert or move a model before its optimizer takes a step."
                )


def decays(group: dict[str, Any]) -> tuple[float, float]:
    """Return the coupled decay and the factor of the decoupled one."""
    weight = float(group["weight_decay"])
    if group["decoupled_weight_decay"]:
        return 0.0, 1 - float(group["lr"]) * weight
    return weight, 1.0


def alike(tensors: list[Tensor]) -> bool:
    """Tell whether a kernel may walk these tensors side by side."""
    shape, dtype = tensors[0].shape, tensors[0].dtype
    for t in tensors:
        if t.shape != shape or t.dtype != dtype or not t.is_cpu or not t.is_contiguous():
            return False
    return dtype in WIDTHS


def _words(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)} on {tensor.device}"
