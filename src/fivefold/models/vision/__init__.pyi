# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.vision.lenet import LeNet5Classifier as LeNet5Classifier
