"""One of several processes that carry out a run together: ``python -m fivefold.workbench.worker DIRECTORY [--resume]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fivefold.base.errors import FivefoldError

from .run import execute


def main(arguments: list[str]) -> int:
    """Execute the run in the directory given; an error of ours is one line, its record is in ``run.json``."""
    try:
        execute(Path(arguments[0]), resume="--resume" in arguments[1:], progress="FIVEFOLD_PROGRESS" in os.environ)
    except KeyboardInterrupt:
        return 130
    except FivefoldError as error:
        if os.environ.get("RANK", "0") == "0":
            sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
