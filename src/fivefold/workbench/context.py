"""What a stock experiment works with: its specification, where to write, and what it has found so far."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fivefold.base.cards import Card
from fivefold.base.files import atomic_file
from fivefold.base.random import Streams

from .spec import Spec
from .store import DataFacts, FigureFacts


@dataclass(frozen=True)
class Table:
    """A table of the report."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass
class Context:
    """The state of one run.

    Parameters
    ----------
    first : bool
        Whether this process writes; of several that train together only the first does.
    say : callable(str)
        Tells the user what goes on, on stderr.
    """

    spec: Spec
    card: Card
    directory: Path
    resume: bool = False
    first: bool = True
    say: Callable[[str], None] = lambda text: None
    metrics: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    figures: list[FigureFacts] = field(default_factory=list)
    markup: dict[str, str | Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    data: DataFacts | None = None
    model: Any = None
    schema_hash: str | None = None

    @property
    def quick(self) -> bool:
        """Whether this is a rehearsal: small, fast, good for nothing but seeing that all goes through."""
        return self.spec.quick

    @property
    def streams(self) -> Streams:
        """The random streams of the run."""
        return Streams(self.spec.seed)

    def knob(self, name: str, default: Any) -> Any:
        """Return a value of the spec's ``experiment`` part."""
        value = self.spec.experiment.get(name, default)
        return value

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long the block took."""
        start = time.perf_counter()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        """Add a table to the report."""
        self.tables.append(Table(title, columns, rows, caption))

    def draw(self, name: str, figure: Any, alt: str, caption: str = "") -> None:
        """Add a matplotlib figure: ``figures/<name>.png`` and, colored by the page, in the report."""
        from . import figures
        from .drawing import to_png

        if self.first:
            # The SVG comes first: writing the PNG replaces the placeholder colors.
            self.markup[name] = figures.to_svg(figure)
            self._write(name, to_png(figure))
        self._note_figure(name, alt, caption)

    def keep_png(self, name: str, png: bytes | Path, alt: str, caption: str = "") -> None:
        """Add a finished PNG."""
        if self.first:
            self._write(name, png if isinstance(png, bytes) else png.read_bytes())
            self.markup[name] = self.directory / "figures" / f"{name}.png"
        self._note_figure(name, alt, caption)

    def _write(self, name: str, png: bytes) -> None:
        with atomic_file(self.directory / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(png)

    def _note_figure(self, name: str, alt: str, caption: str) -> None:
        file = f"figures/{name}.png"
        self.figures = [f for f in self.figures if f.file != file]
        self.figures.append(FigureFacts(file=file, alt=alt, caption=caption))

    def saw(self, name: str, columns: Mapping[str, Any], *, target: str | None = None, task: str | None = None) -> None:
        """Note which data the run uses: named arrays or columns with one row a record."""
        from .store import data_hash

        rows = len(next(iter(columns.values()))) if columns else 0
        self.data = DataFacts(
            name=name, sha256=data_hash(columns), rows=rows, columns=len(columns), target=target, task=task
        )
