import pytest

from fivefold.base.errors import InputError
from fivefold.demos.evaluation.double_descent import DoubleDescentDemo
from fivefold.demos.evaluation.under_over import UnderOverDemo


@pytest.mark.parametrize(
    ("demo", "message"),
    [
        (DoubleDescentDemo(rows=9), "needs rows >= 10"),
        (DoubleDescentDemo(columns=80), "columns > 2 rows"),
        (DoubleDescentDemo(noise=-1.0), "noise >= 0"),
        (DoubleDescentDemo(repeats=9), "repeats >= 10"),
        (UnderOverDemo(max_degree=2), "needs max_degree >= 3"),
        (UnderOverDemo(rows=13), "more rows than parameters"),
        (UnderOverDemo(noise=-0.1), "no negative noise"),
        (UnderOverDemo(spread=-0.1), "no negative noise"),
        (UnderOverDemo(items=1), "needs items >= 2"),
        (UnderOverDemo(weeks=1), "weeks >= 2"),
        (UnderOverDemo(repeats=9), "repeats >= 10"),
    ],
)
def test_bad_options_get_one_clear_sentence(demo, message, tmp_path):
    with pytest.raises(InputError, match=message):
        demo.run(0, tmp_path)
