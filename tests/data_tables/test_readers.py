"""Readers: every source, and one clear sentence for every table that cannot be used."""

from __future__ import annotations

import bz2
import gzip
import http.server
import json
import lzma
import sqlite3
import threading
from contextlib import closing

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from fivefold.base.errors import DataError, InputTypeError, MissingDependencyError
from fivefold.data.readers import TableReader, read_table

PLAIN = "a,b\n1,x\n2,y\n"


def zipped(content):
    """Return gzip without the time of day: that would get into names of tests, on which the processes of a run must agree."""
    return gzip.compress(content, mtime=0)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
    return path


def rows(frame):
    return frame.to_dict(as_series=False)


EXPECTED = {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN),
        ("t.tsv", PLAIN.replace(",", "\t")),
        ("t.txt", PLAIN.replace(",", "|")),
        ("t.csv", PLAIN.replace(",", ";")),
        ("t.csv", PLAIN.replace("\n", "\r\n")),
        ("t.csv", PLAIN.replace("\n", "\r")),
        ("t.csv", "\n\n" + PLAIN + "\n\n"),
        ("t.csv", PLAIN.strip()),
        ("t.csv", PLAIN.encode("utf-8-sig")),
        ("t.csv", PLAIN.encode("utf-16")),
        ("t.csv.gz", zipped(PLAIN.encode())),
        ("t.csv", zipped(PLAIN.encode())),
        ("t.csv.bz2", bz2.compress(PLAIN.encode())),
        ("t.csv.xz", lzma.compress(PLAIN.encode())),
        ("t.json", '[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]'),
        ("t.json", '{"a": [1, 2], "b": ["x", "y"]}'),
        ("t.json", '{"count": 2, "results": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}'),
        ("t.json", '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n'),
        ("t.jsonl", '{"a": 1, "b": "x"}\n\n{"a": 2, "b": "y"}'),
        ("t.ndjson.gz", zipped(b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}')),
    ],
)
def test_text_formats(tmp_path, name, content):
    assert rows(read_table(write(tmp_path, name, content))) == EXPECTED


def test_zstd(tmp_path):
    path = tmp_path / "t.csv.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(PLAIN.encode())
    assert rows(read_table(path)) == EXPECTED
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="t.csv.zst is truncated or not a sound zstd file"):
        read_table(path)


def test_latin1_letters(tmp_path):
    assert read_table(write(tmp_path, "t.csv", "a,b\nZürich,1\n".encode("latin1")))["a"][0] == "Zürich"
    assert read_table(write(tmp_path, "t.csv", "a,b\n5 €,1\n".encode("cp1252")))["a"][0] == "5 €"


def test_damaged_utf8_is_not_taken_for_latin1(tmp_path):
    content = "a,b\nZürich,1\nKöln,2\nM".encode() + b"\xfcnster,3\n"
    with pytest.raises(DataError, match=r"is UTF-8 text except for 1 damaged byte, the first in line 4 \(0xFC\)"):
        read_table(write(tmp_path, "t.csv", content))


def test_missing_header_is_found_out_or_told(tmp_path):
    path = write(tmp_path, "t.csv", "5.1,3.5,setosa\n4.9,3.0,virginica\n")
    reader = TableReader()
    assert reader.read(path).columns == ["column_1", "column_2", "column_3"]
    assert reader.notes == ["comma-separated, without header, UTF-8"]
    assert read_table(path, header=True).columns == ["5.1", "3.5", "setosa"]
    words = write(tmp_path, "w.csv", "good,pos\nbad,neg\n")
    assert read_table(words).height == 1
    assert read_table(words, header=False).height == 2


def test_years_are_a_header(tmp_path):
    path = write(tmp_path, "t.csv", "country,1990,1991,1992\nPeru,1.5,2.5,3.5\n")
    assert read_table(path).columns == ["country", "1990", "1991", "1992"]


def test_unnamed_column(tmp_path):
    assert read_table(write(tmp_path, "t.csv", ",a\n0,5\n1,6\n")).columns == ["column_1", "a"]


def test_leading_zeros_and_long_digits_survive(tmp_path):
    path = write(tmp_path, "t.csv", "zip,card,n\n02139,12345678901234567890,1\n10001,1,2\n")
    assert rows(read_table(path)) == {"zip": ["02139", "10001"], "card": ["12345678901234567890", "1"], "n": [1, 2]}


def test_late_words_do_not_break_numbers(tmp_path):
    lines = ["a,b,c,d", *["1,2,3,4"] * 3000, "NA,5,6,7", "1.5,?,,8", "2,3,word,9"]
    frame = read_table(write(tmp_path, "t.csv", "\n".join(lines)))
    assert frame.dtypes == [pl.Float64, pl.Int64, pl.String, pl.Int64]
    assert frame["a"].to_list()[-3:] == [None, 1.5, 2.0]
    assert frame["b"].null_count() == 1
    assert frame["c"][-1] == "word"


BROKEN = [
    ("t.csv", "", "t.csv is empty"),
    ("t.csv", " \n\n", "t.csv is empty"),
    ("t.csv", "a,b\n", "t.csv has a header with 2 columns but no rows"),
    ("t.csv", "a,b,a\n1,2,3\n", r"t.csv has 1 column names more than once: 'a' \(columns 1, 3\)"),
    ("t.csv", "a,b\n1,2\n3\n4,5\n", "t.csv is ragged: line 3 has 1 value where 2 are expected"),
    ("t.csv", "a,b\n1,2\n3,4,5\n", "t.csv is ragged: line 3 has 3 values where 2 are expected"),
    ("t.csv", 'a,b\n"x\ny",2\n3,4,5\n', "line 4 has 3 values"),
    ("t.csv", 'a,b\n1,2\n"3,4\n5,6\n', "t.csv has a quote in line 3 that is never closed"),
    ("t.csv", b"a,b\n\x00\x01,2\n", "t.csv is not text: it holds zero bytes"),
    ("t.csv.gz", zipped(PLAIN.encode() * 99)[:-9], "t.csv.gz is truncated: its gzip stream ends too early"),
    ("t.csv.gz", b"plain text", "t.csv.gz is not a sound gzip file"),
    ("t.csv.bz2", bz2.compress(b"a,b")[:-3], "t.csv.bz2 is truncated or damaged"),
    ("t.parquet", b"", "t.parquet is empty"),
    ("t.parquet", b"PAR1 nonsense", "t.parquet is not a readable Parquet file: it is truncated or damaged"),
    ("t.arrow", b"ARROW1 nonsense", "t.arrow is not a readable Arrow file: it is truncated or damaged"),
    ("t.json", "", "t.json is empty"),
    ("t.json", "[]", "t.json holds no records"),
    ("t.json", "[1, 2]", "t.json holds int as record 1"),
    ("t.json", "7", "t.json holds a single JSON value"),
    ("t.json", '{"a": [1, 2], "b": [1]}', "t.json holds one JSON object"),
    ("t.json", '[{"a": 1},\n {"a": }]', "t.json is not JSON: Expecting value in line 2, column 8"),
    ("t.jsonl", "", "t.jsonl is empty"),
    ("t.jsonl", '{"a": 1}\n{"a": 2,}\n', "t.jsonl is not JSON in line 2"),
    ("t.jsonl", '{"a": 1}\n[2]\n', "t.jsonl holds no record in line 2"),
    ("t.json", '[{"a": "\xfc"}]'.encode("latin1"), "t.json is not UTF-8 in line 1"),
    ("t.libsvm", "1 1:2\n1 x:3\n", "t.libsvm is not in libsvm format in line 2: '1 x:3'"),
    ("t.npy", b"\x93NUMPY nonsense", "t.npy is not a readable NumPy file"),
    ("t.xlsx", b"PK", "t.xlsx has the unknown ending '.xlsx'; known are .csv"),
    ("t", b"a,b", "t has the unknown ending 'none'"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_bad_files_are_one_sentence(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_truncated_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    whole = path.read_bytes()
    for size in (len(whole) - 4, len(whole) // 2, 6):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="t.parquet is not a readable Parquet file: it is truncated or damaged"):
            read_table(path)


def test_parquet_directory_and_zero_rows(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "0.parquet")
    pl.DataFrame({"a": [2]}).write_parquet(tmp_path / "1.parquet")
    assert read_table(tmp_path)["a"].to_list() == [1, 2]
    pl.DataFrame({"b": [2]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match="have different columns"):
        read_table(tmp_path)
    pl.DataFrame({"a": []}).write_parquet(tmp_path / "3.parquet")
    with pytest.raises(DataError, match="3.parquet has 0 rows and 1 columns"):
        read_table(tmp_path / "3.parquet")


def test_no_file_and_no_data_set():
    with pytest.raises(DataError, match="There is no file 'nowhere.csv'; check the path"):
        read_table("nowhere.csv")
    with pytest.raises(DataError, match="'breast-cancr' is neither a file nor a data set; .*breast-cancer"):
        read_table("breast-cancr")


def test_data_set_by_name():
    assert read_table("breast-cancer").shape == (569, 31)
    assert read_table("breast_cancer").shape == (569, 31)


def test_unknown_format():
    with pytest.raises(DataError, match="Unknown format 'excel'; formats are: csv"):
        read_table("x", format="excel")


def test_format_for_an_ending_that_does_not_tell(tmp_path):
    assert rows(read_table(write(tmp_path, "t.log", PLAIN), format="csv")) == EXPECTED


def test_separator_given(tmp_path):
    assert read_table(write(tmp_path, "t.csv", "a b,c\n1 2,3\n"), separator=" ").columns == ["a", "b,c"]
    with pytest.raises(DataError, match="separator must be one character, got '::'"):
        read_table(write(tmp_path, "t.csv", PLAIN), separator="::")


def test_json_nested_and_mixed(tmp_path):
    content = json.dumps([{"a": {"b": 1, "c": {"d": 2}}, "m": 1}, {"a": {"b": 3, "c": None}, "m": "word"}])
    frame = read_table(write(tmp_path, "t.json", content))
    assert frame.columns == ["a.b", "a.c.d", "m"]
    assert frame["a.b"].to_list() == [1, 3]
    assert frame["m"].to_list() == ["1", "word"]


def test_libsvm_indices(tmp_path):
    one = read_table(write(tmp_path, "t.svm", "1 1:0.5 3:2\n-1 2:1\n"))
    assert rows(one) == {"label": [1.0, -1.0], "x1": [0.5, 0.0], "x2": [0.0, 1.0], "x3": [2.0, 0.0]}
    zero = read_table(write(tmp_path, "t.txt", "1 0:0.5\n0 1:1\n"))
    assert zero.columns == ["label", "x0", "x1"]
    ranked = read_table(write(tmp_path, "r.svm", "2 qid:7 1:1\n0 qid:8 1:3\n"))
    assert ranked["qid"].to_list() == [7, 8]


@pytest.mark.parametrize(
    "make",
    [
        lambda: pl.DataFrame(EXPECTED),
        lambda: pl.DataFrame(EXPECTED).lazy(),
        lambda: pa.table(EXPECTED),
        lambda: pa.table(EXPECTED).to_batches()[0],
        lambda: pa.RecordBatchReader.from_batches(pa.table(EXPECTED).schema, pa.table(EXPECTED).to_batches()),
        lambda: EXPECTED,
        lambda: [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        lambda: np.array([(1, "x"), (2, "y")], dtype=[("a", "i8"), ("b", "U1")]),
    ],
)
def test_objects(make):
    assert rows(read_table(make())) == EXPECTED


def test_pandas():
    pd = pytest.importorskip("pandas")
    assert rows(read_table(pd.DataFrame(EXPECTED))) == EXPECTED
    mixed = pd.DataFrame({"a": [1, "x", None], "b": [1.5, None, 2.5]})
    assert rows(read_table(mixed)) == {"a": ["1", "x", None], "b": [1.5, None, 2.5]}
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="The pandas frame has 1 column names more than once: 'a'"):
        read_table(twice)


def test_arrays_and_sparse_matrices(tmp_path):
    array = np.arange(6.0).reshape(3, 2)
    assert read_table(array).columns == ["column_1", "column_2"]
    assert read_table(scipy.sparse.csr_array(array))["column_2"].to_list() == [1.0, 3.0, 5.0]
    np.savez(tmp_path / "t.npz", x=array, y=np.array([0, 1, 1]))
    assert read_table(tmp_path / "t.npz").columns == ["x_1", "x_2", "y"]
    with pytest.raises(DataError, match=r"shape \(2, 2, 2\) is not a table"):
        read_table(np.zeros((2, 2, 2)))
    np.save(tmp_path / "o.npy", np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="o.npy is not a readable NumPy file: .*allow_pickle"):
        read_table(tmp_path / "o.npy")


def test_duplicate_arrow_names():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(DataError, match="The Arrow table has 1 column names more than once: 'a'"):
        read_table(table)


def test_no_table():
    with pytest.raises(InputTypeError, match="Cannot read a table from builtins.int; give a path"):
        read_table(7)
    with pytest.raises(DataError, match="These columns do not make a table"):
        read_table({"a": [1, 2], "b": [1, 2, 3]})


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE sales (a INTEGER, b TEXT, m)")
        base.executemany("INSERT INTO sales VALUES (?, ?, ?)", [(1, "x", 1), (2, "y", "word")])
        base.commit()
    return path


def test_sqlite(shop):
    frame = read_table(sql=(f"sqlite:///{shop}", "SELECT a, b FROM sales ORDER BY a"))
    assert rows(frame) == EXPECTED
    assert rows(read_table(f"sqlite:///{shop}", sql="SELECT a, b FROM sales ORDER BY a")) == EXPECTED
    assert rows(read_table(sql=(str(shop), "sales")))["m"] == ["1", "word"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM absent", "failed: no such table: absent"),
        ("SELECT * FROM sales WHERE a > 9", "returned 3 columns but no rows"),
        ("SELECT a, a FROM sales", "more than once: 'a'"),
        ("DELETE FROM sales", "failed: attempt to write a readonly database"),
        (" ", "The query is empty"),
    ],
)
def test_sql_errors(shop, query, message):
    with pytest.raises(DataError, match=message):
        read_table(sql=(f"sqlite:///{shop}", query))


def test_sql_places(tmp_path):
    with pytest.raises(DataError, match="There is no database file .*gone.db"):
        read_table(sql=(f"sqlite:///{tmp_path}/gone.db", "SELECT 1"))
    with pytest.raises(DataError, match="'sales' is not a database URL; use sqlite:///file.db"):
        read_table(sql=("sales", "SELECT 1"))
    with pytest.raises(DataError, match=r"sql is a pair \(url, query\)"):
        read_table(sql="SELECT 1")
    with pytest.raises(DataError, match="Give a source or an SQL query, not both"):
        read_table("t.csv", sql=("sqlite://", "SELECT 1"))


def test_sqlalchemy_names_what_is_missing():
    pytest.importorskip("sqlalchemy")
    with pytest.raises(MissingDependencyError, match="knows no database 'nodb'"):
        read_table(sql=("nodb://user:secret@host/x", "SELECT 1"))
    with pytest.raises(MissingDependencyError, match=r"pip install (oracledb|cx_Oracle)") as caught:
        read_table(sql=("oracle+oracledb://user:secret@host/x", "SELECT 1"))
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="is not a SQLAlchemy URL"):
        read_table(sql=("post gres://[", "SELECT 1"))


def test_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with closing(duckdb.connect(str(tmp_path / "t.duckdb"))) as base:
        base.execute("CREATE TABLE t AS SELECT 1 AS a, 'x' AS b, 2.5::DECIMAL(5, 2) AS c")
    frame = read_table(sql=(f"duckdb:///{tmp_path / 't.duckdb'}", "SELECT * FROM t"))
    assert rows(frame) == {"a": [1], "b": ["x"], "c": [2.5]}
    assert frame["c"].dtype == pl.Float64
    assert read_table(sql=("duckdb://", "SELECT 7 AS n"))["n"].to_list() == [7]
    with pytest.raises(DataError, match="failed: Catalog Error"):
        read_table(sql=("duckdb://", "SELECT * FROM nothing"))


def test_missing_library_has_its_install_line(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "fivefold\[sql\]"'):
        read_table(sql=("duckdb://", "SELECT 1"))
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "fivefold\[sql\]"'):
        read_table(sql=("postgresql://host/x", "SELECT 1"))


@pytest.fixture
def server(tmp_path):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self):
            if self.path == "/short.csv":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"a,b\n1,2\n")
            elif self.path == "/api":
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.end_headers()
                self.wfile.write(b'[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]')
            else:
                super().do_GET()

        def log_message(self, *args):
            pass

    instance = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=instance.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{instance.server_address[1]}"
    instance.shutdown()
    thread.join()
    instance.server_close()


def test_urls(server, tmp_path):
    write(tmp_path, "t.csv", PLAIN)
    assert rows(read_table(f"{server}/t.csv?version=2")) == EXPECTED
    assert rows(read_table(f"{server}/api")) == EXPECTED
    assert rows(read_table((tmp_path / "t.csv").as_uri())) == EXPECTED


def test_url_errors(server, monkeypatch):
    with pytest.raises(DataError, match=r"Cannot read http://127.0.0.1:\d+/gone.csv: the server answered 404"):
        read_table(f"{server}/gone.csv")
    with pytest.raises(DataError, match="short.csv: .*(8 of 1,000 bytes came|IncompleteRead)"):
        read_table(f"{server}/short.csv")
    with pytest.raises(DataError, match="s3:// is not supported; use http, https or file"):
        read_table("s3://bucket/t.csv")
    with pytest.raises(DataError, match="There is no file '/nowhere/t.csv'"):
        read_table("file:///nowhere/t.csv")
    monkeypatch.setenv("FIVEFOLD_OFFLINE", "1")
    with pytest.raises(DataError, match="FIVEFOLD_OFFLINE forbids the network") as caught:
        read_table("https://user:secret@example.org/t.csv?token=abc")
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)
