# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.trees.adaboost import AdaBoostClassifier as AdaBoostClassifier
from fivefold.models.trees.adaboost import AdaBoostM1Classifier as AdaBoostM1Classifier
from fivefold.models.trees.adaboost_r2 import AdaBoostRegressor as AdaBoostRegressor
from fivefold.models.trees.bagging import BaggingClassifier as BaggingClassifier
from fivefold.models.trees.bagging import BaggingRegressor as BaggingRegressor
from fivefold.models.trees.cart import DecisionTreeClassifier as DecisionTreeClassifier
from fivefold.models.trees.cart import DecisionTreeRegressor as DecisionTreeRegressor
from fivefold.models.trees.forest import RandomForestClassifier as RandomForestClassifier
from fivefold.models.trees.forest import RandomForestRegressor as RandomForestRegressor
from fivefold.models.trees.multiway import C45Classifier as C45Classifier
from fivefold.models.trees.multiway import ID3Classifier as ID3Classifier
from fivefold.models.trees.oob import OutOfBag as OutOfBag
from fivefold.models.trees.pruned import PostPrunedTreeClassifier as PostPrunedTreeClassifier
from fivefold.models.trees.pruned import PrePrunedTreeClassifier as PrePrunedTreeClassifier
from fivefold.models.trees.stacking import StackingClassifier as StackingClassifier
from fivefold.models.trees.stacking import StackingRegressor as StackingRegressor
from fivefold.models.trees.voting import VotingClassifier as VotingClassifier
