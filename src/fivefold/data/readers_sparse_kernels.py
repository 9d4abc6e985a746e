"""The scanner of ``label index:value …`` lines: one pass over the bytes of a file."""

from __future__ import annotations

import numpy as np

from fivefold.base.jit import njit

RIGHT, BAD_PAIR = 0, 1
"""How a scan ended."""

PLAIN, ODD = 0, 1
"""Whether a number was read exactly, or must be looked at again: long, infinite, or none at all."""

_POWERS = 10.0 ** np.arange(23)
_NEWLINE, _SPACE, _TAB, _RETURN, _HASH = 10, 32, 9, 13, 35
_POINT, _MINUS, _PLUS, _ZERO, _NINE = 46, 45, 43, 48, 57
_SMALL_E, _LARGE_E = 101, 69


@njit
def decimal(data, start, end):  # type: ignore[no-untyped-def]
    """Return (value, PLAIN) of the digits from ``start`` to ``end``, or (0, ODD) where float64 arithmetic may round twice."""
    sign = 1.0
    i = start
    if i < end and (data[i] == _MINUS or data[i] == _PLUS):
        sign = -1.0 if data[i] == _MINUS else 1.0
        i += 1
    mantissa, digits, scale, point = np.int64(0), 0, 0, False
    while i < end:
        byte = data[i]
        if _ZERO <= byte <= _NINE:
            mantissa = mantissa * 10 + (byte - _ZERO)
            digits += 1
            scale += int(point)
        elif byte == _POINT and not point:
            point = True
        else:
            break
        i += 1
    # 15 digits fit a float64 exactly, and so do the powers of ten to 22: one division, rounded once.
    if digits == 0 or digits > 15:
        return 0.0, ODD
    exponent = 0
    if i < end and (data[i] == _SMALL_E or data[i] == _LARGE_E):
        i += 1
        down = i < end and data[i] == _MINUS
        if i < end and (data[i] == _MINUS or data[i] == _PLUS):
            i += 1
        if i >= end or end - i > 3:
            return 0.0, ODD
        while i < end and _ZERO <= data[i] <= _NINE:
            exponent = exponent * 10 + (data[i] - _ZERO)
            i += 1
        if down:
            exponent = -exponent
    exponent -= scale
    if i < end or exponent < -22 or exponent > 22:
        return 0.0, ODD
    if exponent < 0:
        return sign * (mantissa / _POWERS[-exponent]), PLAIN
    return sign * (mantissa * _POWERS[exponent]), PLAIN


@njit
def whole_number(data, start, end):  # type: ignore[no-untyped-def]
    """Return the digits from ``start`` to ``end`` as an integer, or -1 where they are none below 10 ** 9."""
    if end <= start or end - start > 9:
        return -1
    number = 0
    for i in range(start, end):
        if not _ZERO <= data[i] <= _NINE:
            return -1
        number = number * 10 + (data[i] - _ZERO)
    return number


@njit
def scan(data, delimiter, separator, with_fields, labels, lines, offsets, fields, inds, vals, odd):  # type: ignore[no-untyped-def]
    """Read the lines of ``data`` (uint8) into arrays large enough for all.

    ``delimiter`` 0 means blanks. ``labels`` gets NaN where a line starts with a pair. ``odd`` gets (row or pair, start, end)
    of numbers to be looked at again, a label's row as -1 - row. Returns (rows, pairs, odd numbers, how it ended, line, start,
    end of the token in question).
    """
    rows, pairs, oddities, line, i, n = 0, 0, 0, 0, 0, len(data)
    while i < n:
        line += 1
        first = True
        while i < n and data[i] != _NEWLINE:
            byte = data[i]
            if byte in (_SPACE, _TAB, _RETURN, delimiter):
                i += 1
                continue
            if byte == _HASH:
                while i < n and data[i] != _NEWLINE:
                    i += 1
                break
            start, colon, second = i, -1, -1
            while i < n and data[i] != _NEWLINE and data[i] != _HASH:
                byte = data[i]
                if byte in (_SPACE, _TAB, _RETURN, delimiter):
                    break
                if byte == separator:
                    if colon < 0:
                        colon = i
                    elif second < 0:
                        second = i
                    else:
                        return rows, pairs, oddities, BAD_PAIR, line, start, _token_end(data, i, delimiter)
                i += 1
            if first:
                lines[rows] = line
                labels[rows] = np.nan
                first = False
                rows += 1
                if colon < 0:
                    value, kind = decimal(data, start, i)
                    labels[rows - 1] = value
                    if kind == ODD:
                        odd[oddities, 0], odd[oddities, 1], odd[oddities, 2] = -rows, start, i
                        oddities += 1
                    offsets[rows] = pairs
                    continue
            if colon < 0 or (second >= 0) != with_fields:
                return rows, pairs, oddities, BAD_PAIR, line, start, i
            if with_fields:
                fields[pairs] = whole_number(data, start, colon)
                start_of_index, end_of_index = colon + 1, second
                if fields[pairs] < 0:
                    return rows, pairs, oddities, BAD_PAIR, line, start, i
            else:
                start_of_index, end_of_index = start, colon
            inds[pairs] = whole_number(data, start_of_index, end_of_index)
            if inds[pairs] < 0:
                return rows, pairs, oddities, BAD_PAIR, line, start, i
            value, kind = decimal(data, end_of_index + 1, i)
            vals[pairs] = value
            if kind == ODD:
                odd[oddities, 0], odd[oddities, 1], odd[oddities, 2] = pairs, end_of_index + 1, i
                oddities += 1
            pairs += 1
            offsets[rows] = pairs
        i += 1
    return rows, pairs, oddities, RIGHT, line, 0, 0


@njit
def _token_end(data, i, delimiter):  # type: ignore[no-untyped-def]
    while i < len(data) and data[i] != _NEWLINE and data[i] != _SPACE and data[i] != delimiter:
        i += 1
    return i
