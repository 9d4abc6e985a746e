# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.base.codec import load as load
from fivefold.data.datasets import load_dataset as load_dataset
from fivefold.workbench.compare import compare as compare
from fivefold.workbench.door import create as create
from fivefold.workbench.door import list_methods as list_methods
from fivefold.workbench.predict import predict as predict
from fivefold.workbench.proof import verify as verify
from fivefold.workbench.replay import replay as replay
from fivefold.workbench.run import run as run

__version__: str
