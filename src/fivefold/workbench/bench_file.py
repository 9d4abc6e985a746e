"""Runs one file of benchmarks and writes every score as a line of JSON: ``python -m ... FILE SCORES THREADS...``."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from fivefold.base.errors import InputError

from .bench import Score, announce, encoded, listening, one_line


def main(path: Path, out: Path, threads: tuple[int, ...]) -> None:
    """Run ``main`` of a file; what the file raises becomes a failed score of its name."""
    name = path.stem.replace("_", "-")
    seen: list[Score] = []
    with out.open("a", encoding="utf8") as file:

        def write(score: Score) -> None:
            seen.append(score)
            file.write(encoded(score))
            file.flush()

        with listening(write):
            try:
                spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
                if spec is None or spec.loader is None:
                    raise InputError(f"{path} cannot be loaded as a module.")
                module = importlib.util.module_from_spec(spec)
                sys.modules[spec.name] = module
                sys.path.append(str(path.parent))  # where a script finds what files share
                spec.loader.exec_module(module)
                for score in module.main(threads=threads):
                    # A file that measures by its own means has announced nothing.
                    if not any(score is other for other in seen):
                        announce(score)
            except Exception as error:  # noqa: BLE001 - whatever a file raises is its score, shown with its name
                traceback.print_exception(error)
                announce(Score.failed(name, 0, one_line(error)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), tuple(map(int, sys.argv[3:])))
