# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.unsupervised.k_means import KMeans as KMeans
from fivefold.models.unsupervised.pca import PCA as PCA
