"""Readers of multi-field sparse lines: ``label index:value …``, as libsvm, libffm and click logs have them."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from fivefold.base.checks import check_count
from fivefold.base.errors import DataError, InputError, InputTypeError

from .readers_sparse_kernels import BAD_PAIR, scan

FORMS = ("libsvm", "libffm")


class MultiFieldReader:
    """Read lines ``label index:value …`` (libsvm) or ``label field:index:value …`` (libffm).

    Parameters
    ----------
    form : {"libsvm", "libffm"}, default "libsvm"
    field_size : int >= 1, optional
        Pairs that every line has, one a field in a fixed order, as click logs do; by default lines may differ.
    n_features : int >= 1, optional
        Size of the joint index space; indices are then checked against it.
    n_classes : int >= 2 or None, default 2
        Labels are 0 … n_classes - 1; None for any number: a real target, or -1 and 1.
    delimiter : str of one character, optional
        Between pairs: blanks by default, "," in CSV files.
    separator : str of one character, default ":"
        Between index and value.
    zero_based : bool, default True
        Whether indices start at 0; those that start at 1 are lowered by 1.

    Returns
    -------
    read : dict
        ``inds`` int32 and ``vals`` float64, both (n, field_size), or, where lines may differ, (pairs,) with ``offsets`` (n + 1,)
        that say where each line's pairs begin; ``fields`` int32 beside ``inds`` for libffm; ``label`` float64 (n,), left out
        where no line has one (files to predict).

    Raises
    ------
    DataError
        For a token that is no pair, another number of pairs than ``field_size``, labels, indices and values out of range, and
        a file of which some lines have labels and others none; the file and the line are named.

    Notes
    -----
    Blank lines are passed over and ``#`` starts a comment. An index may come twice in a line; :meth:`matrix` adds its values.
    In the sources files to predict carry a label that nobody reads; here they may, or may not.

    References
    ----------
    Spec ``04#ctr-libsvm-input``, ``01#lr-sparse-estimator``; Chang & Lin 2011, "LIBSVM"; Juan et al. 2016, "Field-aware
    factorization machines for CTR prediction".
    """

    def __init__(
        self,
        *,
        form: str = "libsvm",
        field_size: int | None = None,
        n_features: int | None = None,
        n_classes: int | None = 2,
        delimiter: str | None = None,
        separator: str = ":",
        zero_based: bool = True,
    ) -> None:
        if form not in FORMS:
            raise InputError(f"form must be one of {', '.join(FORMS)}; got {form!r}.")
        marks = (" " if delimiter is None else delimiter, separator)
        if (
            not all(isinstance(mark, str) and len(mark) == 1 and ord(mark) < 128 for mark in marks)
            or len(set(marks)) < 2
        ):
            raise InputError(
                f"delimiter and separator must be two different characters; got {delimiter!r} and {separator!r}."
            )
        self.form = form
        self.field_size = None if field_size is None else check_count("field_size", field_size)
        self.n_features = None if n_features is None else check_count("n_features", n_features)
        self.n_classes = None if n_classes is None else check_count("n_classes", n_classes, 2)
        self.delimiter = delimiter
        self.separator = separator
        self.zero_based = zero_based

    def read(self, source: Any) -> dict[str, NDArray[Any]]:
        """Read a path (also gzip) or a sequence of lines."""
        raw, name = _bytes(source)
        return self.parse(raw, 1, name)

    def parse(self, raw: bytes, first_line: int = 1, name: str = "the lines") -> dict[str, NDArray[Any]]:
        """Read whole lines, the first of which is number ``first_line`` of ``name`` in messages.

        It is what :class:`~fivefold.data.streams_sources.LineSource` wants to stream a file.
        """
        data = np.frombuffer(raw, dtype=np.uint8)
        most_rows = int(np.count_nonzero(data == 10)) + 1
        with_fields = self.form == "libffm"
        most_pairs = int(np.count_nonzero(data == ord(self.separator))) // (1 + with_fields) + 1
        labels, offsets = np.empty(most_rows), np.zeros(most_rows + 1, dtype=np.int64)
        lines = np.empty(most_rows, dtype=np.int64)
        inds, vals = np.empty(most_pairs, dtype=np.int32), np.empty(most_pairs)
        fields = np.empty(most_pairs if with_fields else 0, dtype=np.int32)
        odd = np.empty((most_rows + most_pairs, 3), dtype=np.int64)
        mark = 32 if self.delimiter is None else ord(self.delimiter)
        rows, pairs, oddities, ended, line, start, end = scan(
            data, mark, ord(self.separator), with_fields, labels, lines, offsets, fields, inds, vals, odd
        )
        labels, lines, offsets = labels[:rows], lines[:rows] + (first_line - 1), offsets[: rows + 1]
        line += first_line - 1
        self._look_again(raw, odd[:oddities], labels, vals, lines, offsets, name)
        if ended == BAD_PAIR:
            # Lines before the bad one are looked at first, so that the message names the first of all.
            rows = int(np.searchsorted(lines, line))
            labels, lines, offsets, pairs = labels[:rows], lines[:rows], offsets[: rows + 1], int(offsets[rows])
        found = self._checked(labels, lines, offsets, inds[:pairs], name)
        if ended == BAD_PAIR:
            pair = "field:index:value" if with_fields else "index:value"
            shown = raw[start:end].decode("utf8", "replace")
            raise DataError(
                f"Line {line} of {name} has {shown!r} where a pair {pair.replace(':', self.separator)} is expected."
            )
        if not rows:
            raise DataError(f"There is no line in {name}.")
        found["vals"] = vals[:pairs]
        if with_fields:
            found["fields"] = fields[:pairs]
        if self.field_size is None:
            return {**found, "offsets": offsets}
        return {key: value if key == "label" else value.reshape(rows, self.field_size) for key, value in found.items()}

    def _checked(
        self, labels: NDArray[Any], lines: NDArray[Any], offsets: NDArray[Any], inds: NDArray[Any], name: str
    ) -> dict[str, NDArray[Any]]:
        """Return labels, where there are any, and indices from 0, after looking at them."""
        if self.field_size is not None:
            self._check_sizes(lines, offsets, name)
        return {**self._label(labels, lines, name), "inds": self._indices(inds, lines, offsets, name)}

    def matrix(self, found: dict[str, NDArray[Any]], n_features: int | None = None) -> scipy.sparse.csr_matrix:
        """Return what was read as a sparse matrix (n, n_features); an index that comes twice in a line has its values added."""
        inds, vals = found["inds"], found["vals"]
        offsets = found.get("offsets")
        if offsets is None:
            offsets = np.arange(0, inds.size + 1, inds.shape[1])
        size = n_features or self.n_features or int(inds.max(initial=-1)) + 1
        shape = (len(offsets) - 1, size)
        csr = scipy.sparse.csr_matrix((vals.reshape(-1), inds.reshape(-1), offsets), shape=shape, copy=True)
        csr.sum_duplicates()
        return csr

    def _look_again(
        self,
        raw: bytes,
        odd: NDArray[Any],
        labels: NDArray[Any],
        vals: NDArray[Any],
        lines: NDArray[Any],
        offsets: NDArray[Any],
        name: str,
    ) -> None:
        """Fill in the numbers that the scanner left: long ones; and refuse what is none."""
        for place, start, end in odd.tolist():
            token = raw[start:end].decode("utf8", "replace").strip()
            row = -1 - place if place < 0 else int(np.searchsorted(offsets, place, side="right")) - 1
            what = "label" if place < 0 else "value"
            try:
                number = float(token)
            except ValueError as error:
                raise DataError(f"Line {lines[row]} of {name} has {token!r} as {what}; give a number.") from error
            if not np.isfinite(number):
                raise DataError(f"Line {lines[row]} of {name} has the {what} {token!r}; give a finite number.")
            if place < 0:
                labels[row] = number
            else:
                vals[place] = number

    def _indices(self, inds: NDArray[Any], lines: NDArray[Any], offsets: NDArray[Any], name: str) -> NDArray[Any]:
        first = 0 if self.zero_based else 1
        wrong = inds < first
        if self.n_features is not None:
            wrong |= inds >= self.n_features + first
        if wrong.any():
            place = int(wrong.argmax())
            row = int(np.searchsorted(offsets, place, side="right")) - 1
            limit = "" if self.n_features is None else f" to {self.n_features + first - 1}"
            raise DataError(
                f"Line {lines[row]} of {name} has the index {inds[place]}; give whole numbers from {first}{limit}."
            )
        return inds - np.int32(first)

    def _check_sizes(self, lines: NDArray[Any], offsets: NDArray[Any], name: str) -> None:
        counts = np.diff(offsets)
        wrong = counts != self.field_size
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"Line {lines[row]} of {name} has {counts[row]} pairs; every line has field_size={self.field_size}, one a field."
            )

    def _label(self, labels: NDArray[Any], lines: NDArray[Any], name: str) -> dict[str, NDArray[Any]]:
        bare = np.isnan(labels)
        if bare.all():
            return {}
        if bare.any():
            row = int((bare != bare[0]).argmax())
            these, first = ("no label", "one") if bare[row] else ("a label", "none")
            raise DataError(
                f"Line {lines[row]} of {name} has {these}, the first line has {first}; give all lines one or none."
            )
        if self.n_classes is not None:
            wrong = (labels != np.floor(labels)) | (labels < 0) | (labels >= self.n_classes)
            if wrong.any():
                row = int(wrong.argmax())
                classes = "0 or 1" if self.n_classes == 2 else f"whole numbers from 0 to {self.n_classes - 1}"
                raise DataError(
                    f"Line {lines[row]} of {name} has the label {labels[row]:g}; give {classes}, or "
                    "n_classes=None for any number."
                )
        return {"label": labels}


def _bytes(source: Any) -> tuple[bytes, str]:
    """Return the bytes of a file or of a sequence of lines, and a name for messages."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            raw = path.read_bytes()
            raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        except (OSError, EOFError) as error:
            raise DataError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
        return raw.removeprefix(b"\xef\xbb\xbf"), str(path)
    if isinstance(source, Sequence) and all(isinstance(line, str) for line in source):
        return "\n".join(line.rstrip("\n") for line in source).encode(), "the lines"
    raise InputTypeError(f"A path or a sequence of lines is expected; got {type(source).__name__}.")
