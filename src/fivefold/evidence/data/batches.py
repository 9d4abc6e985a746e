"""Batches in memory: slices, orders, samplers, ranks and draws against plain indexing; which arrays are shared."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest, smallest


class _Picked:
    """A sampler of given rows, epoch by epoch."""

    def __init__(self, *epochs: list[int]) -> None:
        self.epochs = epochs

    def __len__(self) -> int:
        return len(self.epochs[0])

    def indices(self, epoch: int) -> np.ndarray:
        return np.array(self.epochs[epoch], dtype=np.int64)


@evidence(
    "input-pipeline",
    claim="Batches of arrays are slices of the data, of its shuffled order or of the sampler's; ranks share each batch",
    against="plain indexing",
)
def batches_are_slices() -> Check:
    import torch

    from fivefold.base.random import Streams
    from fivefold.data.batches import Batches

    wrong = 0
    for rows, size in ((1, 1), (7, 3), (12, 4), (5, 9), (23, 2)):
        x = np.random.default_rng(rows).normal(size=(rows, 3))
        picked = _Picked([rows - 1, 0, *range(0, rows, 2)], [0] * (2 + len(range(0, rows, 2))))
        for options in ({}, {"shuffle": False}, {"drop_last": True}, {"sampler": picked}, {"seed": 5, "index": True}):
            data = Batches({"x": x, "y": np.arange(rows)}, size, **options)
            for epoch in (0, 1):
                order = np.arange(rows)
                if "sampler" in options:
                    order = picked.indices(epoch)
                elif options.get("shuffle", True):
                    order = Streams(options.get("seed", 0)).numpy("order", epoch).permutation(rows)
                count = largest(1, len(order) // size) if "drop_last" in options else -(-len(order) // size)
                wrong += len(data) != count
                for start, world in ((0, 1), (1, 1), (0, 3), (1, 2)):
                    shares = [list(data.epoch(epoch, start, rank, world)) for rank in range(world)]
                    wrong += any(len(share) != largest(0, count - start) for share in shares)
                    for k, parts in enumerate(zip(*shares), start):
                        place = order[k * size : (k + 1) * size]
                        wrong += not torch.equal(torch.cat([p.x for p in parts]), torch.from_numpy(x[place]))
                        wrong += torch.cat([p.y for p in parts]).tolist() != place.tolist()
                        if "index" in options:
                            wrong += torch.cat([p.index for p in parts]).tolist() != place.tolist()
                        lengths = [len(p) for p in parts]
                        wrong += not largest(lengths) - smallest(lengths) <= 1
                        ends = np.cumsum([0, *lengths])[:-1].tolist()
                        wrong += [p.place.offset for p in parts] != ends
                        wrong += any(
                            (p.place.rows, p.place.index, p.place.epoch) != (len(place), k, epoch) for p in parts
                        )
                        if world == 1 or options:
                            continue
                        whole = next(iter(data.epoch(epoch, k)))
                        wrong += not torch.equal(torch.cat([p.randn("z", 2) for p in parts]), whole.randn("z", 2))
    # Rows of a megabyte, gathered a few at a time.
    wide = np.arange(11.0)[:, None] + np.zeros(2**17)
    order = [int(b.x[0, -1]) for b in Batches({"x": wide}, 1, seed=3).epoch(2)]
    wrong += order != Streams(3).numpy("order", 2).permutation(11).tolist()
    return Check(float(wrong), 0.0, "differences", "plain indexing")


@evidence(
    "input-pipeline",
    claim="Rows that a sampler invents are refused on either side of the data; the first and the last row are not",
    against="the contract",
)
def batches_refuse() -> Check:
    from fivefold.base.errors import DataError, InputError
    from fivefold.data.batches import Batches

    x, wrong = np.zeros((4, 2)), 0
    wrong += len(list(Batches({"x": x}, 2, sampler=_Picked([3, 0, 3])).epoch(0))) != 2
    wrong += len(list(Batches({"x": x}, 2, sampler=_Picked([])).epoch(0))) != 0
    for rows, words in (([0, 4], "rows 0 to 4"), ([-1, 2], "rows -1 to 2"), ([1, 9, -3], "rows -3 to 9")):
        try:
            list(Batches({"x": x}, 2, sampler=_Picked(rows)).epoch(0))
            wrong += 1
        except DataError as error:
            wrong += words not in str(error)
    cases: list[tuple[Any, Any, str]] = [
        (lambda: Batches({}, 2), DataError, "at least one field"),
        (lambda: Batches({"x": x, "y": x[:3]}, 2), DataError, "x: 4, y: 3"),
        (lambda: Batches({"x": x[:0]}, 2), DataError, "no rows"),
        (lambda: Batches({"x": np.array(["a"])}, 2), DataError, "'x' holds"),
        (lambda: Batches({"x": 1.0}, 2), DataError, "single number"),
        (lambda: Batches({"x": x}, 0), InputError, "got 0"),
        (lambda: Batches({"x": x}, True), InputError, "got True"),
        (lambda: list(Batches({"x": x}, 2).epoch(0, 0, 2, 2)), InputError, "rank=2 and world=2"),
        (lambda: list(Batches({"x": x}, 2).epoch(0, 0, -1, 2)), InputError, "rank=-1"),
    ]
    for call, kind, words in cases:
        try:
            call()
            wrong += 1
        except kind as error:
            wrong += words not in str(error)
    return Check(float(wrong), 0.0, "violations", "the contract")


@evidence(
    "input-pipeline",
    claim="Arrays are shared where torch can, copied where it cannot; a change of type reaches numbers with a fraction alone",
    against="NumPy",
)
def batches_hold_arrays() -> Check:
    import torch

    from fivefold.data.batches import Batches, as_tensor

    plain = np.arange(12.0).reshape(4, 3)
    locked = plain.copy()
    locked.flags.writeable = False
    forms = [plain, locked, plain[::-1], plain[:, ::2], plain.T, plain.astype(">f8"), plain > 4, plain.astype(np.int16)]
    wrong = 0
    for array in forms:
        held = as_tensor("x", array)
        wrong += not np.array_equal(held.numpy(), array) or held.numpy().dtype != array.dtype.newbyteorder("=")
        may = array.flags.writeable and array.flags.c_contiguous and array.dtype.isnative
        wrong += np.shares_memory(held.numpy(), array) != may
    batch = next(iter(Batches({"x": plain, "n": np.arange(4), "flag": np.arange(4) > 1}, 4, shuffle=False).epoch(0)))
    moved = batch.to("cpu", torch.float32)
    wrong += [moved[k].dtype for k in moved] != [torch.float32, torch.int64, torch.bool]
    wrong += [batch.to("cpu")[k].dtype for k in batch] != [torch.float64, torch.int64, torch.bool]
    wrong += batch.rand("u").dtype != torch.float64 or moved.rand("u", 5).shape != (4, 5)
    u, z = batch.rand("u", 4000), batch.randn("u", 4000)
    # 16,000 numbers: five standard errors of the means and the variances.
    wrong += not (u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 5 * 0.289 / 16000**0.5)
    wrong += not (abs(z.mean()) < 5 / 16000**0.5 and abs(z.var() - 1) < 5 * (2 / 16000) ** 0.5)
    wrong += bool(torch.equal(batch.rand("u", 3), batch.rand("v", 3)))
    return Check(float(wrong), 0.0, "differences", "NumPy")


@evidence(
    "input-pipeline",
    claim="Files without a line, of blank lines or with no line after those to skip hold no records; one line is enough",
    against="the contract",
)
def lines_are_there() -> Check:
    import tempfile
    from pathlib import Path

    from fivefold.base.errors import DataError
    from fivefold.data.streams_sources import LineSource

    def parse(block: bytes, first: int) -> dict[str, Any]:
        return {"line": np.array([line for line in block.decode().splitlines() if line])}

    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        for text, skip, lines in (
            ("", 0, None),
            ("", 2, None),
            ("\n\n\n", 0, None),
            ("a\n", 1, None),
            ("a\nb", 2, None),
            ("a\nb", 5, None),
            ("a", 0, ["a"]),
            ("a\nb", 1, ["b"]),
            ("a\n\nb\n\n", 1, ["b"]),
        ):
            path.write_text(text, encoding="utf8")
            for size in (1, 100):
                try:
                    source = LineSource(path, parse, skip_lines=skip, block_bytes=size)
                except DataError as error:
                    wrong += lines is not None or "holds no records" not in str(error)
                    continue
                pieces = [piece for group in range(len(source.counts)) for piece in source.read(group)]
                wrong += [v for piece in pieces for v in piece["line"].tolist()] != lines
                wrong += int(source.counts.sum()) != len(lines or ())
    return Check(float(wrong), 0.0, "violations", "the contract")
