# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.demos.bias_variance import BiasVarianceDemo as BiasVarianceDemo
from fivefold.evaluation.ranking import RocAuc as RocAuc
from fivefold.evaluation.validation import KFold as KFold
