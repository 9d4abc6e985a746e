# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.trees.cart import DecisionTreeClassifier as DecisionTreeClassifier
from fivefold.models.trees.cart import DecisionTreeRegressor as DecisionTreeRegressor
