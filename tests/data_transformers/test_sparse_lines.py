"""The reader of multi-field sparse lines: what is refused, and in which words."""

from __future__ import annotations

import pytest

from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.data.readers_sparse import MultiFieldReader

PLAIN = MultiFieldReader(n_features=10)
FIXED = MultiFieldReader(field_size=2)
FFM = MultiFieldReader(form="libffm")


@pytest.mark.parametrize(
    ("reader", "source", "error", "message"),
    [
        (PLAIN, ["1 3:1", "1 3-1"], DataError, "Line 2 of the lines has '3-1' where a pair index:value is expected."),
        (PLAIN, ["1 qid:3 4:1"], DataError, "Line 1 of the lines has 'qid:3' where a pair index:value is expected."),
        (FFM, ["1 3:1"], DataError, "Line 1 of the lines has '3:1' where a pair field:index:value is expected."),
        (FFM, ["1 x:3:1"], DataError, "Line 1 of the lines has 'x:3:1' where a pair field:index:value is expected."),
        (PLAIN, ["1 3:one"], DataError, "Line 1 of the lines has 'one' as value; give a number."),
        (PLAIN, ["1 3:-inf"], DataError, "Line 1 of the lines has the value '-inf'; give a finite number."),
        (PLAIN, ["yes 3:1"], DataError, "Line 1 of the lines has 'yes' as label; give a number."),
        (PLAIN, ["1 10:1"], DataError, "Line 1 of the lines has the index 10; give whole numbers from 0 to 9."),
        (PLAIN, ["2 1:1"], DataError, "has the label 2; give 0 or 1, or n_classes=None for any number."),
        (MultiFieldReader(n_classes=4), ["4 1:1"], DataError, "give whole numbers from 0 to 3, or n_classes=None"),
        (FIXED, ["1 3:1 4:1", "0 3:1"], DataError, "Line 2 of the lines has 1 pairs; every line has field_size=2"),
        (PLAIN, ["1 3:1", "3:1"], DataError, "Line 2 of the lines has no label, the first line has one"),
        (PLAIN, ["3:1", "1 3:1"], DataError, "Line 2 of the lines has a label, the first line has none"),
        (PLAIN, ["", "# nothing"], DataError, "There is no line in the lines."),
        (PLAIN, "absent.txt", DataError, "Cannot read absent.txt: No such file or directory."),
        (PLAIN, 7, InputTypeError, "A path or a sequence of lines is expected; got int."),
    ],
)
def test_refusals(reader: MultiFieldReader, source: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        reader.read(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "csv"}, "form must be one of libsvm, libffm; got 'csv'."),
        ({"separator": " "}, "delimiter and separator must be two different characters; got None and ' '."),
        ({"delimiter": "::"}, "must be two different characters; got '::' and ':'."),
        ({"field_size": 0}, "field_size must be a whole number >= 1, got 0."),
        ({"n_classes": 1}, "n_classes must be a whole number >= 2, got 1."),
    ],
)
def test_wrong_parameters(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        MultiFieldReader(**options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_label_alone_is_a_row_without_features() -> None:
    found = MultiFieldReader().read(["1", "0 3:2"])
    assert found["offsets"].tolist() == [0, 0, 1]
    assert MultiFieldReader(n_features=4).matrix(found).toarray().tolist() == [[0, 0, 0, 0], [0, 0, 0, 2]]
