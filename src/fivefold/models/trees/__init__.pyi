# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.trees.boosting.gradient_boosting import GradientBoostingClassifier as GradientBoostingClassifier
from fivefold.models.trees.boosting.gradient_boosting import GradientBoostingRegressor as GradientBoostingRegressor
from fivefold.models.trees.boosting.lightgbm import GOSSClassifier as GOSSClassifier
from fivefold.models.trees.boosting.lightgbm import GOSSRegressor as GOSSRegressor
from fivefold.models.trees.boosting.lightgbm import LGBMClassifier as LGBMClassifier
from fivefold.models.trees.boosting.lightgbm import LGBMRanker as LGBMRanker
from fivefold.models.trees.boosting.lightgbm import LGBMRegressor as LGBMRegressor
from fivefold.models.trees.boosting.xgboost import ApproximateXGBClassifier as ApproximateXGBClassifier
from fivefold.models.trees.boosting.xgboost import ApproximateXGBRegressor as ApproximateXGBRegressor
from fivefold.models.trees.boosting.xgboost import XGBClassifier as XGBClassifier
from fivefold.models.trees.boosting.xgboost import XGBRanker as XGBRanker
from fivefold.models.trees.boosting.xgboost import XGBRegressor as XGBRegressor
from fivefold.models.trees.cart import DecisionTreeClassifier as DecisionTreeClassifier
from fivefold.models.trees.cart import DecisionTreeRegressor as DecisionTreeRegressor
from fivefold.models.trees.forest import RandomForestClassifier as RandomForestClassifier
from fivefold.models.trees.forest import RandomForestRegressor as RandomForestRegressor
