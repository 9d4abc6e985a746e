"""Evidence for the reader of multi-field sparse lines: libsvm, libffm and click logs."""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path

import numpy as np

from fivefold.base.errors import DataError
from fivefold.evidence import Check, evidence

_LINE = "0 0:0.732349 2:1 41:1 59:1 66:1 77:1 85:1 88:1 89:1 92:1 93:1 98:1 106:1"
_INDICES = [0, 2, 41, 59, 66, 77, 85, 88, 89, 92, 93, 98, 106]


@evidence(
    "libsvm-multifield-reader",
    claim="The line of 13 fields has the listed indices and values, with blanks or commas, a label or none, from 0 or from 1",
    against="the line, written out",
)
def sample_line() -> Check:
    from fivefold.data.readers_sparse import MultiFieldReader

    comma = _LINE.replace(" ", ",")
    bare = _LINE[2:]
    up = "0 " + " ".join(f"{i + 1}:{'0.732349' if i == 0 else 1}" for i in _INDICES)
    readers = [
        (MultiFieldReader(field_size=13, n_features=107), [_LINE]),
        (MultiFieldReader(field_size=13), ["", _LINE + "  \r", " \t"]),
        (MultiFieldReader(field_size=13, delimiter=","), [comma]),
        (MultiFieldReader(field_size=13), [bare]),
        (MultiFieldReader(field_size=13, zero_based=False, n_features=107), [up + " # a comment 3:4"]),
        (MultiFieldReader(field_size=13, separator="="), [_LINE.replace(":", "=")]),
    ]
    wrong = 0.0
    for reader, lines in readers:
        found = reader.read(lines)
        wrong += ("label" in found) == (lines == [bare])
        wrong += found.get("label", np.zeros(1)).tolist() != [0.0]
        wrong += found["inds"].tolist() != [_INDICES] or found["inds"].dtype != np.int32
        wrong += found["vals"].tolist() != [[0.732349] + [1.0] * 12]
    return Check(wrong, 0, "differences", "the line")


def _random_lines(rows: int, seed: int) -> str:
    draw = np.random.default_rng(seed)
    forms = ("{:.6f}", "{:.3e}", "{!r}", "{:g}", "{:.0f}", "{:+.2E}")
    lines = []
    for _ in range(rows):
        inds = np.sort(draw.choice(500, size=draw.integers(0, 12), replace=False))
        vals = draw.normal(size=len(inds)) * 10.0 ** draw.integers(-30, 30, len(inds))
        pairs = [f"{i}:{forms[draw.integers(6)].format(float(v))}" for i, v in zip(inds.tolist(), vals)]
        lines.append(" ".join([f"{draw.normal():.4f}", *pairs]))
    return "\n".join(lines) + "\n"


@evidence(
    "libsvm-multifield-reader",
    claim="Labels, indices and values of random lines with numbers of all forms are those of scikit-learn, to the bit",
    against="sklearn.datasets.load_svmlight_file",
)
def peer_matrix() -> Check:
    from sklearn.datasets import load_svmlight_file

    from fivefold.data.readers_sparse import MultiFieldReader

    text = _random_lines(400, 0)
    expected, labels = load_svmlight_file(io.BytesIO(text.encode()), zero_based=True, n_features=500)
    wrong = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, raw in (("a.txt", text.encode()), ("b.txt.gz", gzip.compress(text.encode()))):
            path = Path(folder) / name
            path.write_bytes(raw)
            reader = MultiFieldReader(n_classes=None, n_features=500)
            found = reader.read(path)
            matrix = reader.matrix(found)
            wrong += int(np.sum(found["label"] != labels)) + int(np.sum(matrix.indptr != expected.indptr))
            wrong += int(np.sum(matrix.indices != expected.indices)) + int(np.sum(matrix.data != expected.data))
            wrong += matrix.shape != (400, 500) or reader.matrix(found, 501).shape != (400, 501)
            wrong += not np.array_equal(found["offsets"], expected.indptr)
    return Check(wrong, 0, "differences", "scikit-learn")


@evidence(
    "libsvm-multifield-reader",
    claim="Numbers of up to 15 digits, of more, and with exponents at the ends of the exact range are the nearest float64",
    against="Python's float",
)
def nearest_numbers() -> Check:
    from fivefold.data.readers_sparse import MultiFieldReader

    texts = [
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "123456789012345e7",
        "123456789012345.e-22",
        "1234567890123456",
        "-0.1",
        "+.5",
    ]
    texts += [
        "0.1234567890123456789",
        "5e-324",
        "1.7976931348623157e308",
        "007",
        "7.",
        "-1E+3",
        "3e-5",
        "9007199254740993",
    ]
    texts += ["1.5e0", "9.99999999999999e22", "0.000000000000001", "123456.789e-3"]
    found = MultiFieldReader(n_classes=None).read([f"{t} {i}:{t}" for i, t in enumerate(texts)])
    wrong = sum(a != float(t) for a, t in zip(found["vals"].tolist(), texts))
    wrong += sum(a != float(t) for a, t in zip(found["label"].tolist(), texts))
    return Check(wrong + (found["inds"].tolist() != list(range(len(texts)))), 0, "numbers that differ", "Python")


@evidence(
    "libsvm-multifield-reader",
    claim="Fields, indices and values of libffm lines come back, an index that comes twice has its values added",
    against="the arrays that were written",
)
def libffm_lines() -> Check:
    from fivefold.data.readers_sparse import MultiFieldReader

    draw = np.random.default_rng(3)
    fields, inds, vals = draw.integers(0, 9, (50, 4)), draw.integers(0, 30, (50, 4)), draw.integers(1, 9, (50, 4)) / 8
    label = draw.integers(0, 3, 50)
    lines = [
        " ".join([str(y), *(f"{a}:{b}:{c}" for a, b, c in zip(f, i, v))])
        for y, f, i, v in zip(label.tolist(), fields.tolist(), inds.tolist(), vals.tolist())
    ]
    fixed = MultiFieldReader(form="libffm", field_size=4, n_classes=3).read(lines)
    ragged = MultiFieldReader(form="libffm", n_classes=3).read(lines)
    dense = np.zeros((50, 30))
    np.add.at(dense, (np.arange(50)[:, None], inds), vals)
    reader = MultiFieldReader(form="libffm", n_features=30)
    wrong = float(
        np.abs(reader.matrix(fixed).toarray() - dense).max() + np.abs(reader.matrix(ragged).toarray() - dense).max()
    )
    for key, truth in (("fields", fields), ("inds", inds), ("vals", vals)):
        wrong += fixed[key].shape != (50, 4) or not np.array_equal(fixed[key], truth)
        wrong += not np.array_equal(ragged[key], truth.reshape(-1))
    wrong += fixed["label"].tolist() != label.tolist() or ragged["offsets"].tolist() != list(range(0, 201, 4))
    return Check(wrong, 0, "differences", "the arrays")


@evidence(
    "libsvm-multifield-reader",
    claim="Of 18 malformed files each is refused and names the file and its first bad line; numbers at the limits are not",
    against="the line that was spoiled",
)
def names_the_line() -> Check:
    from fivefold.data.readers_sparse import MultiFieldReader

    plain, fixed = {"n_features": 107}, {"field_size": 2, "n_features": 107}
    spoiled: list[tuple[dict[str, object], str]] = [
        (plain, "1 3"), (plain, "1 3:1:1"), (plain, "1 x:1"), (plain, "1 -3:1"), (plain, "1 3:y"), (plain, "1 3:nan"),
        (plain, "1 3:inf"), (plain, "1 107:1"), (plain, "2 3:1"), (plain, "0.5 3:1"), (plain, "-1 3:1"), (plain, "x 3:1"),
        (plain, "3:1"), (plain, "1 1.5:1"), (plain, "1 3: 4:1"), (plain, "1 1:2:3:4"), (fixed, "1 3:1"), (fixed, "1 3:1 4:1 5:1"),
    ]  # fmt: skip
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoiled.txt"
        for options, line in spoiled:
            path.write_text(f"1 0:1 106:1\n\n0 5:2 6:1\n{line}\n1 7 x\n")
            try:
                MultiFieldReader(**options).read(path)  # type: ignore[arg-type]
            except DataError as error:
                wrong += not str(error).startswith(f"Line 4 of {path} has ")
            else:
                wrong += 1
    limits = MultiFieldReader(n_features=107, n_classes=3).read(["2 106:1", "0 0:1"])
    wrong += limits["inds"].tolist() != [106, 0] or limits["label"].tolist() != [2.0, 0.0]
    one = MultiFieldReader(n_features=107, zero_based=False)
    wrong += one.read(["1 1:1 107:1"])["inds"].tolist() != [0, 106]
    for line in ("1 0:1", "1 108:1"):
        try:
            one.read([line])
        except DataError as error:
            wrong += "give whole numbers from 1 to 107" not in str(error)
        else:
            wrong += 1
    return Check(wrong, 0, "accepted or badly named", "the spoiled line")
