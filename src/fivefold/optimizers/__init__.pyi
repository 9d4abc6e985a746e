# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.optimizers.gradient.adam import Adam as Adam
from fivefold.optimizers.gradient.momentum import Momentum as Momentum
from fivefold.optimizers.numerical.bfgs import BFGS as BFGS
from fivefold.optimizers.schedules.cosine import CosineDecay as CosineDecay
