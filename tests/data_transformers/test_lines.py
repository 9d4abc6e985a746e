"""Readers of lines: what is refused, and in which words."""

from __future__ import annotations

import pytest

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.data.readers_lines import BehaviorSequenceReader, DeepCrossReader, ImageCSVReader

DCN = DeepCrossReader(n_numeric=1, n_categorical=2, n_features=10)
DIN = BehaviorSequenceReader(n_user=1, n_item=0, n_context=0)


@pytest.mark.parametrize(
    ("reader", "source", "error", "message"),
    [
        (
            DCN,
            ["1 0.5 3"],
            DataError,
            "Line 1 of the lines has 3 fields; a label, 1 numeric values and 2 indices are 4",
        ),
        (DCN, ["1 0.5 3 4", "1 x 3 4"], DataError, "Line 2 of the lines has 'x' as field; give a number"),
        (DCN, ["1 nan 3 4"], DataError, "has a field that is not finite"),
        (DCN, ["1 0.5 3 10"], DataError, "has the index 10; give whole numbers from 0 to 9"),
        (DCN, ["1 0.5 3 1.5"], DataError, "has the index 1.5"),
        (DCN, ["2 0.5 3 4"], DataError, "has the label 2; give whole numbers from 0 to 1"),
        (DCN, ["", "  "], DataError, "There is no line in the lines"),
        (DCN, 7, InputTypeError, "A path or a sequence of lines is expected; got int"),
        (DIN, ["1 0:1"], DataError, "has 2 fields; a label, 1 pairs and a candidate are 3"),
        (DIN, ["1 0-1 3"], DataError, "has '0-1' where a pair index:value is expected"),
        (DIN, ["1 0:x 3"], DataError, "has 'x' as user pair"),
        (DIN, ["1 0:1 3 -4"], DataError, "has the behavior -4"),
        (DIN, ["1 0:1 3.5"], DataError, "has the candidate 3.5"),
    ],
)
def test_refusals(reader, source, error, message: str) -> None:
    with pytest.raises(error, match=message):
        reader.read(source)


def test_parameters_are_checked() -> None:
    with pytest.raises(InputError, match="n_numeric must be a whole number >= 0, got -1"):
        DeepCrossReader(n_numeric=-1)
    with pytest.raises(InputError, match="n_classes must be a whole number >= 2"):
        BehaviorSequenceReader(n_classes=1)
    with pytest.raises(InputError, match=r"shape must be \(height, width, channels\)"):
        ImageCSVReader(shape=(2, 2))
    with pytest.raises(InputError, match="give n_features"):
        DeepCrossReader().one_hot([[1]])


def test_files(tmp_path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xff\xfe1 2")
    with pytest.raises(DataError, match="lines.txt is not text in UTF-8"):
        DCN.read(path)
    path.write_bytes(b"\x1f\x8b broken")
    with pytest.raises(DataError, match="Cannot read .*lines.txt"):
        DCN.read(path)
    path.write_text("label,a,b\n1,2,3\n")
    with pytest.raises(DataError, match="lines.txt has 2 pixels a row, which is not a square gray image; give shape"):
        ImageCSVReader().read(path)
    path.write_text("1,2,x,4,5\n")
    with pytest.raises(DataError, match="holds a value that is no number"):
        ImageCSVReader(header=False).read(path)
