# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.objectives.focal import FocalLoss as FocalLoss
