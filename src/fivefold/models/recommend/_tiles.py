"""Kernels on matrices too small for a library's call, eight columns at a time in registers.

They are written in LLVM's terms: of loops in Python LLVM makes sums in memory, checks whether arrays overlap, and a scalar rest.
Arrays are float32 in rows, with rows and columns in whole tiles.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from fivefold.base.jit import njit
from fivefold.base.tensors import by_hand

TILE = 8
"""Rows and columns of a tile, the numbers of a 256-bit register."""

# 2^f on [-1/2, 1/2] to 2e-8: Taylor's terms ln(2)^k / k!.
_POWER = [math.log(2) ** k / math.factorial(k) for k in range(7)]
_ROUND = 1.5 * 2.0**23  # added to a float below 2^22 it leaves the nearest whole number in the lowest bits


class _Code:
    """Writes arithmetic on numbers of one kind, a float or eight of them."""

    def __init__(self, builder: Any, width: int) -> None:
        from llvmlite import ir

        self.ir, self.builder, self.width = ir, builder, width
        self.kind, self.bits = ir.FloatType(), ir.IntType(32)
        if width > 1:
            self.kind, self.bits = ir.VectorType(self.kind, width), ir.VectorType(self.bits, width)

    def constant(self, value: float) -> Any:
        return self.ir.Constant(self.kind, value if self.width == 1 else [value] * self.width)

    def whole(self, value: int) -> Any:
        return self.ir.Constant(self.bits, value if self.width == 1 else [value] * self.width)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=("contract",))

    def less(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=("contract",))

    def times(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=("contract",))

    def larger(self, a: Any, b: Any) -> Any:
        """Return the larger of two, b where either is not a number."""
        return self.builder.select(self.builder.fcmp_unordered(">", b, a), b, a)

    def exp(self, x: Any) -> Any:
        """Return e^x for x <= 0 by 2^n 2^f; far below it is 2^-126, and NaN of NaN."""
        scaled = self.times(x, self.constant(1 / math.log(2)))
        low = self.constant(-126.0)
        scaled = self.builder.select(self.builder.fcmp_ordered("<", scaled, low), low, scaled)
        rounded = self.builder.fadd(scaled, self.constant(_ROUND))
        f = self.builder.fsub(scaled, self.builder.fsub(rounded, self.constant(_ROUND)))
        power = self.constant(_POWER[-1])
        for term in reversed(_POWER[:-1]):
            power = self.add(self.times(f, power), self.constant(term))
        exponent = self.builder.add(self.builder.bitcast(rounded, self.bits), self.whole(127))
        return self.times(power, self.builder.bitcast(self.builder.shl(exponent, self.whole(23)), self.kind))


class _Lanes(_Code):
    """Writes arithmetic on vectors of eight numbers, read from and written to the arrays of an intrinsic."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        super().__init__(builder, TILE)
        self.index = self.ir.IntType(64)
        self.given: list[Any] = []
        for kind, value in zip(signature.args, args):
            if isinstance(kind, types.Array):
                self.given.append(context.make_array(kind)(context, builder, value))
            else:
                self.given.append(context.cast(builder, value, kind, types.int64))

    def at(self, array: Any, row: Any, column: Any) -> Any:
        """Return the address of a number of an array of one (``row`` None) or two axes."""
        if row is not None:
            columns = cgutils.unpack_tuple(self.builder, array.shape, 2)[1]
            column = self.builder.add(self.builder.mul(row, columns), column)
        return self.builder.gep(array.data, [column])

    def load(self, array: Any, row: Any, column: Any) -> Any:
        place = self.builder.bitcast(self.at(array, row, column), self.kind.as_pointer())
        return self.builder.load(place, align=4)

    def store(self, value: Any, array: Any, row: Any, column: Any) -> None:
        place = self.builder.bitcast(self.at(array, row, column), self.kind.as_pointer())
        self.builder.store(value, place, align=4)

    def spread(self, number: Any) -> Any:
        """Return a number eight times."""
        empty, zero = self.ir.Constant(self.kind, self.ir.Undefined), self.ir.Constant(self.ir.IntType(32), 0)
        one = self.builder.insert_element(empty, number, zero)
        return self.builder.shuffle_vector(one, one, self.whole(0))

    def variable(self, value: float) -> Any:
        """Return a place that LLVM keeps in a register."""
        return cgutils.alloca_once_value(self.builder, self.constant(value))


@intrinsic
def _product(typing: Any, a: Any, i: Any, b: Any, j: Any, out: Any) -> Any:
    """Set the tile of out at (i, j) to the product of eight rows of ``a`` and eight columns of ``b``."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _Lanes(context, builder, signature, args)
        a, i, b, j, out = lanes.given
        rows = [builder.add(i, lanes.ir.Constant(lanes.index, r)) for r in range(TILE)]
        sums = [lanes.variable(0.0) for _ in rows]
        depth = cgutils.unpack_tuple(builder, a.shape, 2)[1]
        with cgutils.for_range(builder, depth, intp=lanes.index) as loop:
            others = lanes.load(b, loop.index, j)
            for row, total in zip(rows, sums):
                number = lanes.spread(builder.load(lanes.at(a, row, loop.index), align=4))
                builder.store(lanes.add(builder.load(total), lanes.times(number, others)), total)
        for row, total in zip(rows, sums):
            lanes.store(builder.load(total), out, row, j)
        return context.get_dummy_value()

    return types.void(a, i, b, j, out), build


@intrinsic
def _exponentials(typing: Any, x: Any, n: Any, j: Any, total: Any) -> Any:
    """Replace n rows of eight columns of x by exp of what they are above their largest, and set ``total`` to their sums."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _Lanes(context, builder, signature, args)
        x, n, j, total = lanes.given
        top, added = lanes.variable(-math.inf), lanes.variable(0.0)
        with cgutils.for_range(builder, n, intp=lanes.index) as loop:
            builder.store(lanes.larger(builder.load(top), lanes.load(x, loop.index, j)), top)
        with cgutils.for_range(builder, n, intp=lanes.index) as loop:
            power = lanes.exp(lanes.less(lanes.load(x, loop.index, j), builder.load(top)))
            lanes.store(power, x, loop.index, j)
            builder.store(lanes.add(builder.load(added), power), added)
        lanes.store(builder.load(added), total, None, j)
        return context.get_dummy_value()

    return types.void(x, n, j, total), build


@intrinsic
def _centered(typing: Any, p: Any, n: Any, j: Any, total: Any, grad: Any) -> Any:
    """Divide n rows of eight columns of p by ``total``, and replace those of grad by p (grad - sum of p grad)."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _Lanes(context, builder, signature, args)
        p, n, j, total, grad = lanes.given
        inverse = builder.fdiv(lanes.constant(1.0), lanes.load(total, None, j))
        mean = lanes.variable(0.0)
        with cgutils.for_range(builder, n, intp=lanes.index) as loop:
            share = lanes.times(lanes.load(p, loop.index, j), inverse)
            lanes.store(share, p, loop.index, j)
            part = lanes.times(share, lanes.load(grad, loop.index, j))
            builder.store(lanes.add(builder.load(mean), part), mean)
        with cgutils.for_range(builder, n, intp=lanes.index) as loop:
            apart = lanes.less(lanes.load(grad, loop.index, j), builder.load(mean))
            lanes.store(lanes.times(lanes.load(p, loop.index, j), apart), grad, loop.index, j)
        return context.get_dummy_value()

    return types.void(p, n, j, total, grad), build


@intrinsic
def exchange(typing: Any, x: Any, y: Any, i: Any, j: Any) -> Any:
    """Put the larger of each two of eight numbers of x from i and eight from j at i, the smaller at j; y moves with x.

    What is not a number is the largest.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _Lanes(context, builder, signature, args)
        x, y, i, j = lanes.given
        a, b = lanes.load(x, None, i), lanes.load(x, None, j)
        swap = builder.and_(builder.fcmp_unordered("<", a, b), builder.fcmp_ordered("ord", a, a))
        for array in (x, y):
            a, b = lanes.load(array, None, i), lanes.load(array, None, j)
            lanes.store(builder.select(swap, b, a), array, None, i)
            lanes.store(builder.select(swap, a, b), array, None, j)
        return context.get_dummy_value()

    return types.void(x, y, i, j), build


@intrinsic
def exp(typing: Any, x: Any) -> Any:
    """Return e^x for a float32 x <= 0; unlike that of the C library it runs in vector registers."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _Code(builder, 1).exp(args[0])

    return types.float32(types.float32), build


@njit
def parts(rows):  # type: ignore[no-untyped-def]
    """Return the parts into which rows are cut to be worked on side by side, a number that does not depend on the threads."""
    return min(rows, 64)


@njit
def rows_of(part, rows):  # type: ignore[no-untyped-def]
    """Return the rows of a part."""
    return range(rows * part // parts(rows), rows * (part + 1) // parts(rows))


@njit
def whole_tiles(n):  # type: ignore[no-untyped-def]
    """Return the least multiple of a tile that is not below n."""
    return -(-n // TILE) * TILE


@njit
def matmul(a, b, out):  # type: ignore[no-untyped-def]
    """Set out (m, n) to a (m, k) times b (k, n); out overlaps neither."""
    for i in range(0, len(out), TILE):
        for j in range(0, out.shape[1], TILE):
            _product(a, i, b, j, out)


@njit
def exponentials(x, n, total):  # type: ignore[no-untyped-def]
    """Replace the first n rows of x (>= n, m) by exp of what they are above the column's largest, total (m,) by their sums."""
    for j in range(0, x.shape[1], TILE):
        _exponentials(x, n, j, total)


@njit
def softmax_backward(p, n, total, grad):  # type: ignore[no-untyped-def]
    """Divide the first n rows of p (>= n, m) by total (m,), which makes them softmax, and pull grad (>= n, m) back through it."""
    for j in range(0, p.shape[1], TILE):
        _centered(p, n, j, total, grad)


def compiled(*tensors: Tensor) -> bool:
    """Tell whether kernels serve: on the processor, in float32, where nothing traces; the rest is torch's."""
    first = tensors[0]
    return by_hand(*tensors) and first.is_cpu and first.dtype == torch.float32 and first.numel() > 0
