"""The public data sets: what they are, where they come from and the hash of each file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .download import RemoteFile

_RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Entry:
    """One data set.

    Parameters
    ----------
    title : str
    kind : "table", "images", "text", "sequences", "graph", "series"
    task : str
    target : str
        Column to predict; empty where there is none.
    source : str
        Where it comes from, for people.
    parts : mapping part -> files
        What can be loaded alone; the whole set is all of them.
    types : mapping column -> kind
        Kinds that the values do not tell, such as identifiers of digits that are categories.
    home : str
        The set whose files these are, where it is made of another one's; empty where they are its own.
    """

    title: str
    kind: str
    task: str = ""
    target: str = ""
    source: str = ""
    parts: Mapping[str, tuple[RemoteFile, ...]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    home: str = ""

    @property
    def files(self) -> dict[str, RemoteFile]:
        """Return every file by its name."""
        return {file.name: file for files in self.parts.values() for file in files}


def _file(name: str, url: str, sha256: str, member: str = "", *, content: bool = False) -> RemoteFile:
    return RemoteFile(name, url, f"sha256:{sha256}", member, content)


_PLANETOID = f"{_RAW}/kimiyoung/planetoid/master/data"
_CONLL = "https://www.clips.uantwerpen.be/conll2000/chunking"
_HIGGS = f"{_RAW}/microsoft/LightGBM/master/examples/binary_classification"
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist"
_MOVIELENS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_OMNIGLOT = f"{_RAW}/brendenlake/omniglot/master/python"
_POLARITY = "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz"
_WIKITEXT = f"{_RAW}/pytorch/examples/main/word_language_model/data/wikitext-2"

_CORA_HASHES = {
    "x": "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab",
    "y": "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
    "tx": "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
    "ty": "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
    "allx": "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
    "ally": "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
    "graph": "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
    "test.index": "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
}

_MOVIELENS_HASHES = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.genre": "9757e0d3e6b298159a80dd48eaf938114690e911e39af97a76949ef1663610bb",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u.occupation": "cd5fbec9afe345d993a62fc7817df1a4a9079c4feb267b3118763b8fd942137d",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
    "u1.base": "ce253ec86c448b44fb3ba9a30d12dcfc2e9210cbde71efada3730c22e9ac212a",
    "u1.test": "18c6014a4b2c7324f250a63f8904a7b16b2b19f911129e346141507b0cbac950",
    "u2.base": "6c06f0b5df4b256da1a994f3ac66edc8da4d3f09bc9282df6b14d893366d703e",
    "u2.test": "4de658d1e04ed9104629509a2e2528fce833ac8e048280183f1df167632038c3",
    "u3.base": "afdc155c291c6edc41c0407e39d7462eb98d341e064f0b0a12175b80b3c4af5d",
    "u3.test": "0f548b51c78327de4c156461d3e430b7e5579fe2b5681586a59416e48fd35f6d",
    "u4.base": "219f0f4d40dfe9c5141d425f53fa91ee23ed275f14e280bbf1b50117afb064ca",
    "u4.test": "7c02ad0a1e7ab1083c8b9d4b627203a051dd7b5eab46d99fa44de33470de8db9",
    "u5.base": "a9574e59ce961eec2121627760b6e9b0974ce1637b3fe69ac32cb14a4bfab485",
    "u5.test": "351cc52e0d15b6c721466276fc24671d40936899e3d01fadeaf312915b8c5634",
    "ua.base": "67b5bcdb380c29f85d56a012ecd88612ae020f30a6730d117a334ee8203b91f2",
    "ua.test": "d0497e202417720f57a184ec8c66be2d1afa4ff41bb53787c57b28d6bf79bc42",
}


def _movielens(*names: str) -> tuple[RemoteFile, ...]:
    return tuple(_file(name, _MOVIELENS, _MOVIELENS_HASHES[name], f"ml-100k/{name}") for name in names)


BUNDLED: dict[str, Entry] = {
    "iris": Entry("Iris flowers", "table", "multiclass", "species", "scikit-learn (Fisher 1936)"),
    "wine": Entry("Wine cultivars", "table", "multiclass", "cultivar", "scikit-learn (UCI Wine)"),
    "breast-cancer": Entry("Breast cancer Wisconsin", "table", "binary", "diagnosis", "scikit-learn (UCI WDBC)"),
    "digits": Entry("Handwritten digits, 8x8", "table", "multiclass", "digit", "scikit-learn (UCI Optical Digits)"),
    "diabetes": Entry("Diabetes progression", "table", "regression", "progression", "scikit-learn (Efron et al. 2004)"),
    "linnerud": Entry("Linnerud exercise", "table", "regression", "weight", "scikit-learn (Tenenhaus 1998)"),
}
"""Sets that come with scikit-learn."""

GENERATED: dict[str, Entry] = {
    "mixture-25": Entry("25 Gaussians on a grid", "table", "generation", "component", "generated"),
    "moons": Entry("Two interleaved half circles", "table", "binary", "moon", "generated"),
    "synthetic-clicks": Entry(
        "Click log of 39 fields with planted products and known probabilities",
        "table",
        "binary",
        "click",
        "generated",
        types={f"c{field}": "categorical" for field in range(39)},
    ),
}
"""Sets that are drawn from a seed."""

REMOTE: dict[str, Entry] = {
    "air-passengers": Entry(
        "Monthly airline passengers 1949-1960",
        "series",
        "forecasting",
        "passengers",
        "Rdatasets, datasets/AirPassengers",
        {
            "all": (
                _file(
                    "AirPassengers.csv",
                    "https://vincentarelbundock.github.io/Rdatasets/csv/datasets/AirPassengers.csv",
                    "bdb98adbd418a6de6842a742e0602f363c3b841c26677e7e61a1e055e9509bd8",
                ),
            )
        },
    ),
    "california-housing": Entry(
        "California housing 1990",
        "table",
        "regression",
        "median_house_value",
        "github.com/ageron/handson-ml2",
        {
            "all": (
                _file(
                    "housing.csv",
                    f"{_RAW}/ageron/handson-ml2/master/datasets/housing/housing.csv",
                    "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e",
                ),
            )
        },
    ),
    "conll2000": Entry(
        "CoNLL-2000 chunking",
        "sequences",
        "multiclass",
        "tags",
        "www.clips.uantwerpen.be/conll2000/chunking",
        {
            "train": (
                _file(
                    "train.txt",
                    f"{_CONLL}/train.txt.gz",
                    "82033cd7a72b209923a98007793e8f9de3abc1c8b79d646c50648eb949b87cea",
                    "*",
                ),
            ),
            "test": (
                _file(
                    "test.txt",
                    f"{_CONLL}/test.txt.gz",
                    "73b7b1e565fa75a1e22fe52ecdf41b6624d6f59dacb591d44252bf4d692b1628",
                    "*",
                ),
            ),
        },
    ),
    "cora": Entry(
        "Cora citation graph, Planetoid split",
        "graph",
        "multiclass",
        "y",
        "github.com/kimiyoung/planetoid",
        {
            "all": tuple(
                _file(f"ind.cora.{name}", f"{_PLANETOID}/ind.cora.{name}", sha) for name, sha in _CORA_HASHES.items()
            )
        },
    ),
    "criteo-sample": Entry(
        "200 rows of Criteo display advertising",
        "table",
        "binary",
        "label",
        "github.com/shenweichen/DeepCTR-Torch",
        {
            "all": (
                _file(
                    "criteo_sample.txt",
                    f"{_RAW}/shenweichen/DeepCTR-Torch/master/examples/criteo_sample.txt",
                    "08b84f12a22438fb534e989a5e4fa245726b2bda001983556bc2aea2f094f724",
                ),
            )
        },
        types={f"C{field}": "categorical" for field in range(1, 27)},
    ),
    "exchange-rate": Entry(
        "Daily exchange rates of 8 countries 1990-2016",
        "series",
        "forecasting",
        "australia",
        "github.com/laiguokun/multivariate-time-series-data",
        {
            "all": (
                _file(
                    "exchange_rate.txt.gz",
                    f"{_RAW}/laiguokun/multivariate-time-series-data/master/exchange_rate/exchange_rate.txt.gz",
                    "6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d",
                ),
            )
        },
    ),
    "higgs-sample": Entry(
        "7,000 + 500 rows of HIGGS",
        "table",
        "binary",
        "label",
        "github.com/microsoft/LightGBM, examples/binary_classification",
        {
            "train": (
                _file(
                    "binary.train",
                    f"{_HIGGS}/binary.train",
                    "41c42dc14f86960256bf872fc8ae6286c688b44f43b4057b29428787fc1e0444",
                ),
            ),
            "test": (
                _file(
                    "binary.test",
                    f"{_HIGGS}/binary.test",
                    "d99ebec91acd99638f00c727c251c947a1d17ddfcbea27bfef6b0dc5e5fb1db3",
                ),
            ),
        },
    ),
    # Hashes of the uncompressed IDX files: the copies of MNIST in circulation are compressed differently.
    "mnist": Entry(
        "MNIST handwritten digits, 28x28",
        "images",
        "multiclass",
        "y",
        "storage.googleapis.com/cvdf-datasets/mnist",
        {
            "train": (
                _file(
                    "train-images-idx3-ubyte.gz",
                    f"{_MNIST}/train-images-idx3-ubyte.gz",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    content=True,
                ),
                _file(
                    "train-labels-idx1-ubyte.gz",
                    f"{_MNIST}/train-labels-idx1-ubyte.gz",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    content=True,
                ),
            ),
            "test": (
                _file(
                    "t10k-images-idx3-ubyte.gz",
                    f"{_MNIST}/t10k-images-idx3-ubyte.gz",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    content=True,
                ),
                _file(
                    "t10k-labels-idx1-ubyte.gz",
                    f"{_MNIST}/t10k-labels-idx1-ubyte.gz",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                    content=True,
                ),
            ),
        },
    ),
    "movielens-100k": Entry(
        "MovieLens 100K ratings",
        "table",
        "regression",
        "rating",
        "files.grouplens.org (research licence: do not redistribute)",
        {
            "ratings": _movielens("u.data"),
            "items": _movielens("u.item", "u.genre"),
            "users": _movielens("u.user", "u.occupation"),
            **{split: _movielens(f"{split}.base", f"{split}.test") for split in ("u1", "u2", "u3", "u4", "u5", "ua")},
        },
    ),
    "movielens-clicks": Entry(
        "MovieLens 100K as a click log: is a film rated 4 or 5, given user, film and what the user liked before",
        "table",
        "binary",
        "click",
        "files.grouplens.org (research licence: do not redistribute)",
        {"all": _movielens("u.data", "u.item", "u.genre", "u.user", "u.occupation")},
        types={"user": "categorical", "item": "categorical"},
        home="movielens-100k",
    ),
    "omniglot": Entry(
        "Omniglot handwritten characters, 105x105",
        "images",
        "multiclass",
        "y",
        "github.com/brendenlake/omniglot",
        {
            "background-small-1": (
                _file(
                    "images_background_small1.zip",
                    f"{_OMNIGLOT}/images_background_small1.zip",
                    "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
                ),
            ),
            "background": (
                RemoteFile(
                    "images_background.zip",
                    f"{_OMNIGLOT}/images_background.zip",
                    "md5:68d2efa1b9178cc56df9314c21c6e718",
                ),
            ),
            "evaluation": (
                RemoteFile(
                    "images_evaluation.zip",
                    f"{_OMNIGLOT}/images_evaluation.zip",
                    "md5:6b91aef0f799c5bb55b94e3f2daec811",
                ),
            ),
        },
    ),
    "rt-polarity": Entry(
        "Movie-review sentence polarity",
        "text",
        "binary",
        "polarity",
        "www.cs.cornell.edu/people/pabo/movie-review-data",
        {
            "all": (
                _file(
                    "rt-polarity.neg",
                    _POLARITY,
                    "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
                    "rt-polaritydata/rt-polarity.neg",
                ),
                _file(
                    "rt-polarity.pos",
                    _POLARITY,
                    "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
                    "rt-polaritydata/rt-polarity.pos",
                ),
            )
        },
    ),
    "tiny-shakespeare": Entry(
        "Tiny Shakespeare",
        "text",
        "generation",
        "",
        "github.com/karpathy/char-rnn",
        {
            "all": (
                _file(
                    "input.txt",
                    f"{_RAW}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                ),
            )
        },
    ),
    "wikitext-2": Entry(
        "WikiText-2, tokenized",
        "text",
        "generation",
        "",
        "github.com/pytorch/examples, word_language_model/data/wikitext-2",
        {
            "train": (
                _file(
                    "train.txt",
                    f"{_WIKITEXT}/train.txt",
                    "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
                ),
            ),
            "valid": (
                _file(
                    "valid.txt",
                    f"{_WIKITEXT}/valid.txt",
                    "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                ),
            ),
            "test": (
                _file(
                    "test.txt",
                    f"{_WIKITEXT}/test.txt",
                    "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                ),
            ),
        },
    ),
}
"""Sets that are downloaded on first use."""
