# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.demos.recommend.click_benchmark import ClickBenchmark as ClickBenchmark
from fivefold.models.recommend.autoint import AutoInt as AutoInt
from fivefold.models.recommend.autoint import WeightedAutoInt as WeightedAutoInt
from fivefold.models.recommend.bilinear import BilinearFM as BilinearFM
from fivefold.models.recommend.bilinear import BilinearFMLearner as BilinearFMLearner
from fivefold.models.recommend.cold_start import ColdStartEmbedding as ColdStartEmbedding
from fivefold.models.recommend.collaborative_vae import CollaborativeVAE as CollaborativeVAE
from fivefold.models.recommend.deep_cross import DeepCross as DeepCross
from fivefold.models.recommend.deep_interest import DeepInterestNetwork as DeepInterestNetwork
from fivefold.models.recommend.deep_interest_evolution import (
    DeepInterestEvolutionNetwork as DeepInterestEvolutionNetwork,
)
from fivefold.models.recommend.deepfm import DeepFM as DeepFM
from fivefold.models.recommend.deepgbm import DeepGBM as DeepGBM
from fivefold.models.recommend.factorization_machine import FactorizationMachine as FactorizationMachine
from fivefold.models.recommend.factorization_machine import FactorizationMachineLearner as FactorizationMachineLearner
from fivefold.models.recommend.field_aware import FieldAwareFM as FieldAwareFM
from fivefold.models.recommend.field_aware import FieldAwareFMLearner as FieldAwareFMLearner
from fivefold.models.recommend.gan_user_model import GANUserModel as GANUserModel
from fivefold.models.recommend.id_embedding import IDEmbedding as IDEmbedding
from fivefold.models.recommend.implicit_als import AlternatingLeastSquares as AlternatingLeastSquares
from fivefold.models.recommend.implicit_als import BayesianPersonalizedRanking as BayesianPersonalizedRanking
from fivefold.models.recommend.lird import LIRD as LIRD
from fivefold.models.recommend.listing_embedding import ListingEmbedding as ListingEmbedding
from fivefold.models.recommend.matrix_factorization import MatrixFactorization as MatrixFactorization
from fivefold.models.recommend.matrix_factorization import SVDPlusPlus as SVDPlusPlus
from fivefold.models.recommend.multi_sequence_cnn import MultiSequenceCNN as MultiSequenceCNN
from fivefold.models.recommend.neighbors import ItemBasedCF as ItemBasedCF
from fivefold.models.recommend.neighbors import UserBasedCF as UserBasedCF
from fivefold.models.recommend.poly2 import Poly2 as Poly2
from fivefold.models.recommend.seqfm import SeqFM as SeqFM
from fivefold.models.recommend.svd_recommender import SVDRecommender as SVDRecommender
from fivefold.models.recommend.two_stage import TwoStageRecommender as TwoStageRecommender
from fivefold.models.recommend.type_embedding import UserListingTypeEmbedding as UserListingTypeEmbedding
from fivefold.models.recommend.wide_deep import WideDeep as WideDeep
from fivefold.models.recommend.xdeepfm import XDeepFM as XDeepFM
