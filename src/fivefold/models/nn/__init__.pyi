# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.nn.mlp import MLPClassifier as MLPClassifier
from fivefold.models.nn.mlp import MLPRegressor as MLPRegressor
from fivefold.models.nn.normalization import BatchNorm as BatchNorm
