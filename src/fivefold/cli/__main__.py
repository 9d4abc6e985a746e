"""``python -m fivefold.cli``."""

import sys

from . import main

sys.exit(main())
