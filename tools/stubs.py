"""Write the ``.pyi`` files that let editors see the public names of packages, which come from cards at run time.

python tools/stubs.py           write them
python tools/stubs.py --check   fail when one is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from fivefold import _DOOR
from fivefold.base.cards import all_cards, read_package

ROOT = Path(__file__).resolve().parent.parent / "src" / "fivefold"
WIDTH = 120  # of a line, as ruff has it
HEAD = "# Written by tools/stubs.py from the cards; `make stubs` renews it.\n"


def _order(pair: tuple[str, str]) -> tuple[str, int, str]:
    """Sort as isort does: constants, then classes, then the rest, whatever the case."""
    module, name = pair
    return module, 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name.lower()


def lines(paths: list[str]) -> str:
    """Return one import a public name."""
    pairs = sorted({(path.partition(":")[0], path.partition(":")[2]) for path in paths}, key=_order)
    return HEAD + "".join(_line(module, name) for module, name in pairs)


def _line(module: str, name: str) -> str:
    whole = f"from {module} import {name} as {name}\n"
    return whole if len(whole) <= WIDTH + 1 else f"from {module} import (\n    {name} as {name},\n)\n"


def stubs() -> dict[Path, str]:
    """Return every stub file with its text."""
    found = {ROOT / "__init__.pyi": lines(list(_DOOR.values())) + "\n__version__: str\n"}
    for package in sorted({card.package for card in all_cards().values() if card.origin == "fivefold"}):
        folder = ROOT / package.replace(".", "/")
        paths = [path for card in read_package(package).values() for path in card.factory.values()]
        if paths and (folder / "__init__.py").is_file():
            found[folder / "__init__.pyi"] = lines(paths)
    return found


def main() -> int:
    """Write or check."""
    check = "--check" in sys.argv
    stale = [p for p, text in stubs().items() if not p.is_file() or p.read_text(encoding="utf8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT.parent.parent)} is out of date; run `make stubs`.", file=sys.stderr)
        else:
            path.write_text(stubs()[path], encoding="utf8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
