# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.models.recommend.cold_start import ColdStartEmbedding as ColdStartEmbedding
from fivefold.models.recommend.implicit_als import AlternatingLeastSquares as AlternatingLeastSquares
from fivefold.models.recommend.implicit_als import BayesianPersonalizedRanking as BayesianPersonalizedRanking
from fivefold.models.recommend.listing_embedding import ListingEmbedding as ListingEmbedding
from fivefold.models.recommend.matrix_factorization import MatrixFactorization as MatrixFactorization
from fivefold.models.recommend.matrix_factorization import SVDPlusPlus as SVDPlusPlus
from fivefold.models.recommend.neighbors import ItemBasedCF as ItemBasedCF
from fivefold.models.recommend.neighbors import UserBasedCF as UserBasedCF
from fivefold.models.recommend.svd_recommender import SVDRecommender as SVDRecommender
from fivefold.models.recommend.type_embedding import UserListingTypeEmbedding as UserListingTypeEmbedding
