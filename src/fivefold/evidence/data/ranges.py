"""Ranges of the parameters of data operations: ends that belong to them and what lies beyond."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence
from fivefold.evidence.ranges import CLAIM, range_ends

_TEXTS = ["a b c", "b c d", "a d"]


def _call(function: Any, *data: Any) -> Any:
    """Return what makes a setting by calling the function with it."""
    return lambda **setting: function(*data, **setting)


@evidence("discretizer", claim=CLAIM, against="the documentation")
def discretizer() -> Check:
    from fivefold.data.discretizer import Discretizer

    return range_ends(Discretizer, [{"n_bins": 2}], [{"n_bins": 1}], np.arange(12.0)[:, None])


@evidence("image-augmentation", claim=CLAIM, against="the documentation")
def image_augmentation() -> Check:
    from fivefold.data.image_augmentation import ImageAugmentation

    X = np.full((2, 3, 4, 5), 0.5)
    most = {"rotation": 180.0, "shear": 80.0, "zoom": 0.9, "translation": 1.0, "flip_horizontal": 1.0}
    most |= {"flip_vertical": 1.0, "brightness": 1.0, "contrast": 1.0, "saturation": 1.0}
    taken = [{name: value} for name, high in most.items() for value in (0.0, high)] + [{"noise": 100.0}]
    refused = [{name: value} for name, high in most.items() for value in (-0.01, 1.05 * high)] + [{"noise": -0.01}]
    fit = range_ends(ImageAugmentation, taken, refused, X)
    model = ImageAugmentation(random_state=0).fit(X)
    copies = range_ends(_call(model.augment, X, np.arange(2)), [{"copies": 1}], [{"copies": 0}])
    return Check(fit.value + copies.value, 0, fit.unit, fit.peer)


@evidence("bbox-augmentation", claim=CLAIM, against="the documentation")
def box_augmentation() -> Check:
    from fivefold.data.image_augmentation import BoxAugmentation

    ends = {"rotation": (0.0, 180.0), "scale": (1e-3, 1e3)}
    ends |= dict.fromkeys(("flip_horizontal", "flip_vertical", "rotation_chance", "min_visibility"), (0.0, 1.0))
    taken = [{name: end} for name, pair in ends.items() for end in pair]
    refused = [{name: end} for name, (low, high) in ends.items() for end in (0.9 * low - 1e-9, 1.1 * high)]
    return range_ends(BoxAugmentation, taken, refused, 1, (4, 5), verb="matrices")


@evidence("image-preprocessing", claim=CLAIM, against="the documentation")
def image_preprocessing() -> Check:
    from fivefold.data.image_preprocessing import ImagePreprocessing

    X = np.random.default_rng(0).uniform(0.1, 0.9, (2, 1, 4, 4))
    colors = ("brightness", "contrast", "saturation")
    taken: list[dict[str, Any]] = [{"size": 1}, {"size": (1, 2)}, {"size": (2, 1)}, {"crop": 1}, {"crop": (1, 2)}]
    taken += [{name: 0.0} for name in colors]
    refused: list[dict[str, Any]] = [{"size": 0}, {"size": (0, 2)}, {"size": (2, 0)}, {"crop": 0}, {"crop": 5}]
    refused += [{name: -0.1} for name in colors]
    return range_ends(ImagePreprocessing, taken, refused, X)


@evidence("dcn-tabular-reader", claim=CLAIM, against="the documentation")
def tabular_lines() -> Check:
    from fivefold.data.readers_lines import DeepCrossReader

    taken = [{"n_numeric": 0}, {"n_categorical": 0}, {"n_features": 1}, {"n_classes": 2}]
    return range_ends(
        DeepCrossReader, taken, [{"n_numeric": -1}, {"n_categorical": -1}, {"n_features": 0}, {"n_classes": 1}]
    )


@evidence("din-sequence-reader", claim=CLAIM, against="the documentation")
def behavior_lines() -> Check:
    from fivefold.data.readers_lines import BehaviorSequenceReader

    none = ("n_user", "n_item", "n_context")
    taken = [*({name: 0} for name in none), {"behaviors_size": 1}, {"n_classes": 2}]
    return range_ends(
        BehaviorSequenceReader, taken, [*({name: -1} for name in none), {"behaviors_size": 0}, {"n_classes": 1}]
    )


@evidence("libsvm-multifield-reader", claim=CLAIM, against="the documentation")
def sparse_lines() -> Check:
    from fivefold.data.readers_sparse import MultiFieldReader

    taken = [{"field_size": 1}, {"n_features": 1}, {"n_classes": 2}]
    return range_ends(MultiFieldReader, taken, [{"field_size": 0}, {"n_features": 0}, {"n_classes": 1}])


@evidence("session-builder", claim=CLAIM, against="the documentation")
def sessions() -> Check:
    import polars as pl

    from fivefold.data.sessions import SessionBuilder, skip_gram_pairs

    log = pl.DataFrame({"user": [0, 0, 1], "item": [1, 2, 3], "time": [0, 1, 2]})
    build = range_ends(
        SessionBuilder, [{"gap": 0.0}, {"min_length": 1}], [{"gap": -0.01}, {"min_length": 0}], log, verb="build"
    )
    items, one = np.arange(4), np.zeros(4, dtype=np.int64)
    pairs = _call(skip_gram_pairs, items, one, np.random.default_rng(0))
    fixed: dict[str, Any] = {"counts": np.ones(4), "markets": one}
    taken = [{"window": 1}, {"negative": 0}, {"market_negative": 0}, {"market_negative": 1}]
    refused = [{"window": 0}, {"negative": -1}, {"market_negative": -1}]
    pair = range_ends(pairs, [fixed | case for case in taken], [fixed | case for case in refused])
    return Check(build.value + pair.value, 0, build.unit, build.peer)


@evidence("smote", claim=CLAIM, against="the documentation")
def smote() -> Check:
    from fivefold.data.smote import SMOTE

    X, y = np.arange(20.0).reshape(10, 2) % 7, np.arange(10) % 3 == 0
    return range_ends(SMOTE, [{"k_neighbors": 1}], [{"k_neighbors": 0}], X, y, verb="fit_resample")


@evidence("text-pipeline", claim=CLAIM, against="the documentation")
def text_pipeline() -> Check:
    from fivefold.data.text_pipeline import TextPipeline

    return range_ends(TextPipeline, [{"min_count": 1}], [{"min_count": 0}], _TEXTS)


@evidence("token-sequence-encoder", claim=CLAIM, against="the documentation")
def token_sequences() -> Check:
    from fivefold.data.words import TokenSequenceEncoder

    names = ("min_count", "max_tokens", "max_length")
    return range_ends(TokenSequenceEncoder, [{name: 1} for name in names], [{name: 0} for name in names], _TEXTS)


@evidence("word-one-hot", claim=CLAIM, against="the documentation")
def word_one_hot() -> Check:
    from fivefold.data.words import WordOneHot

    names, words = ("min_count", "max_words"), ["cat", "dog"]
    return range_ends(WordOneHot, [{name: 1} for name in names], [{name: 0} for name in names], words)


@evidence("word-hashing", claim=CLAIM, against="the documentation")
def word_hashing() -> Check:
    from fivefold.data.words import WordHashing

    names, words = ("n", "n_features"), ["cat", "dog"]
    return range_ends(WordHashing, [{name: 1} for name in names], [{name: 0} for name in names], words)


@evidence("word2vec-features", claim=CLAIM, against="the documentation")
def word_vectors() -> Check:
    from fivefold.data.word_vectors import Word2VecFeatures

    few: dict[str, Any] = {"vector_size": 2, "epochs": 1, "min_count": 1}
    whole = ("vector_size", "window", "negative", "min_count", "epochs")
    taken = [few | {name: 1} for name in whole]
    taken += [few | {"sample": end} for end in (0.0, 1.0)] + [few | {"learning_rate": end} for end in (1e-9, 1.0)]
    refused = [{name: 0} for name in whole] + [{"sample": end} for end in (-1e-9, 1.5)]
    return range_ends(Word2VecFeatures, taken, refused + [{"learning_rate": end} for end in (1e-10, 1.5)], _TEXTS)
