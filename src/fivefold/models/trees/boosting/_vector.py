"""Machine instructions that Numba does not offer by itself: paired 64-bit additions and prefetches."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I64, _I32, _I8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_PAIR = ir.VectorType(_I64, 2)


def _adder(n_columns: int) -> Any:
    """Return an intrinsic that adds (g, h) to the histograms of the first ``n_columns`` of the eight bins of a word."""

    def add(typing: Any, histogram: Any, base: Any, word: Any, g: Any, h: Any) -> Any:
        signature = types.void(histogram, types.int64, types.uint64, types.int64, types.int64)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            pair = ir.Constant(_PAIR, ir.Undefined)
            pair = builder.insert_element(pair, args[3], ir.Constant(_I32, 0))
            pair = builder.insert_element(pair, args[4], ir.Constant(_I32, 1))
            start = builder.bitcast(builder.gep(array.data, [args[1]]), _I8.as_pointer())
            for column in range(n_columns):
                # The bin times 16 bytes, straight from the word: no address arithmetic is left.
                if column == 0:
                    at = builder.shl(args[2], ir.Constant(_I64, 4))
                else:
                    at = builder.lshr(args[2], ir.Constant(_I64, 8 * column - 4))
                at = builder.and_(at, ir.Constant(_I64, 0xFF0))
                at = builder.add(at, ir.Constant(_I64, column * 4096))
                place = builder.bitcast(builder.gep(start, [at]), _PAIR.as_pointer())
                before = builder.load(place)
                before.align = 16
                builder.store(builder.add(before, pair), place).align = 16
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(add)


add_eight = _adder(8)
"""``add_eight(histogram, base, word, g, h)``: 512 numbers a column, (g, h) of bin b at ``base + 512 * column + 2 * b``."""
add_four = _adder(4)
"""The same for the lower four columns of the word."""


@intrinsic
def prefetch(typing: Any, array: Any, position: Any) -> Any:
    """Ask the processor for the cache line of ``array[position]``; changes no value."""
    signature = types.void(array, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), _I8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        call = builder.module.declare_intrinsic("llvm.prefetch", [_I8.as_pointer()], kind)
        read, near, data_cache = ir.Constant(_I32, 0), ir.Constant(_I32, 3), ir.Constant(_I32, 1)
        builder.call(call, [place, read, near, data_cache])
        return context.get_dummy_value()

    return signature, generate
