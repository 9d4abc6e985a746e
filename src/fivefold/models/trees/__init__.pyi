# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.trees.cart import DecisionTreeClassifier as DecisionTreeClassifier
from fivefold.models.trees.cart import DecisionTreeRegressor as DecisionTreeRegressor
from fivefold.models.trees.forest import RandomForestClassifier as RandomForestClassifier
from fivefold.models.trees.forest import RandomForestRegressor as RandomForestRegressor
