# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.engine.averaging import ExponentialMovingAverage as ExponentialMovingAverage
from fivefold.engine.averaging import polyak_update as polyak_update
from fivefold.engine.callbacks import Callback as Callback
from fivefold.engine.checkpoint_callback import ModelCheckpoint as ModelCheckpoint
from fivefold.engine.clipping import clip_norm_ as clip_norm_
from fivefold.engine.clipping import clip_norm_each_ as clip_norm_each_
from fivefold.engine.clipping import clip_value_ as clip_value_
from fivefold.engine.early_stopping import EarlyStopping as EarlyStopping
from fivefold.engine.learner import Learner as Learner
from fivefold.engine.loggers import JSONLLogger as JSONLLogger
from fivefold.engine.loggers import TensorBoardLogger as TensorBoardLogger
from fivefold.engine.monitor import TrainValidationMonitor as TrainValidationMonitor
from fivefold.engine.progress import ProgressBar as ProgressBar
from fivefold.engine.trainer import Trainer as Trainer
