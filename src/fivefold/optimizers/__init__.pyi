# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.optimizers.gradient.adam import Adam as Adam
from fivefold.optimizers.gradient.momentum import Momentum as Momentum
from fivefold.optimizers.numerical.bfgs import BFGS as BFGS
from fivefold.optimizers.schedules.cosine import CosineDecay as CosineDecay
from fivefold.optimizers.schedules.cycles import CosineWarmRestarts as CosineWarmRestarts
from fivefold.optimizers.schedules.cycles import TriangularCycle as TriangularCycle
from fivefold.optimizers.schedules.decays import ExponentialDecay as ExponentialDecay
from fivefold.optimizers.schedules.decays import InverseSqrtDecay as InverseSqrtDecay
from fivefold.optimizers.schedules.decays import InverseTimeDecay as InverseTimeDecay
from fivefold.optimizers.schedules.decays import PolynomialDecay as PolynomialDecay
from fivefold.optimizers.schedules.decays import StepDecay as StepDecay
from fivefold.optimizers.schedules.plateau import ReduceOnPlateau as ReduceOnPlateau
from fivefold.optimizers.schedules.warmup import ConstantWarmup as ConstantWarmup
from fivefold.optimizers.schedules.warmup import LinearScaling as LinearScaling
from fivefold.optimizers.schedules.warmup import LinearWarmup as LinearWarmup
