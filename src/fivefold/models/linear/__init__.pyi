# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.linear.linear_regression import LinearRegression as LinearRegression
from fivefold.models.linear.logistic import LogisticRegression as LogisticRegression
from fivefold.models.linear.naive_bayes import GaussianNB as GaussianNB
from fivefold.models.linear.neighbors import KNeighborsClassifier as KNeighborsClassifier
from fivefold.models.linear.neighbors import KNeighborsRegressor as KNeighborsRegressor
from fivefold.models.linear.ridge import Ridge as Ridge
from fivefold.models.linear.softmax import SoftmaxRegression as SoftmaxRegression
