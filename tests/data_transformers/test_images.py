"""Images: pipelines, saving, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from fivefold.base import codec
from fivefold.base.errors import DataError, InputError, InputTypeError
from fivefold.data.image_augmentation import BoxAugmentation, ImageAugmentation, move_boxes
from fivefold.data.image_preprocessing import ImagePreprocessing

X = np.random.default_rng(0).uniform(size=(6, 3, 8, 10))


def test_pipeline_and_saving(tmp_path) -> None:
    steps = make_pipeline(ImageAugmentation(noise=0.1, random_state=0), ImagePreprocessing(size=5))
    assert steps.fit_transform(X).shape == (6, 3, 5, 6)
    model = ImageAugmentation().fit(X)  # fresh entropy is drawn once, in fit
    codec.save(model, tmp_path / "model")
    assert np.array_equal(codec.load(tmp_path / "model").transform(X), model.transform(X))


def test_augment_repeats_labels() -> None:
    grown, labels = ImageAugmentation(random_state=0).augment(X, list("abcdef"), 3)
    assert grown.shape == (18, 3, 8, 10) and "".join(labels) == "abcdef" * 3


@pytest.mark.parametrize(
    ("model", "values", "error", "message"),
    [
        (ImagePreprocessing(), X[0], InputTypeError, r"shape \(n, channels, height, width\)"),
        (ImagePreprocessing(), X[:0], DataError, "There is no image"),
        (ImagePreprocessing(), X * np.nan, DataError, "NaN or infinity"),
        (ImagePreprocessing(size=0), X, InputError, "size must be a whole number >= 1"),
        (ImagePreprocessing(size=(1, 2, 3)), X, InputError, "size must be one side or"),
        (ImagePreprocessing(filter="lanczos"), X, InputError, "filter must be one of 'bilinear'"),
        (ImagePreprocessing(crop=9), X, InputError, "The crop 9 x 9 is larger than the image, 8 x 10"),
        (ImagePreprocessing(flip="both"), X, InputError, "flip must be 'horizontal', 'vertical' or None"),
        (ImagePreprocessing(contrast=-1.0), X, InputError, "must be finite and >= 0"),
        (ImagePreprocessing(contrast=0.5), X * 255, InputError, "divide 8-bit images by 255"),
        (ImagePreprocessing(mean=[1.0]), X, InputError, r"mean must be one number a channel \(3\)"),
        (ImagePreprocessing(std=[1.0, 0.0, 1.0]), X, InputError, "std must be positive"),
        (ImageAugmentation(rotation=181.0), X, InputError, "rotation must be a finite number >= 0 and <= 180"),
        (ImageAugmentation(flip_vertical=2), X, InputError, "flip_vertical must be a finite number >= 0 and <= 1"),
        (ImageAugmentation(zoom=1.0), X, InputError, "zoom must be a finite number >= 0 and <= 0.9"),
    ],
)
def test_refusals(model, values, error, message: str) -> None:
    with pytest.raises(error, match=message):
        model.fit(values)


def test_refusals_later() -> None:
    with pytest.raises(DataError, match=r"\(3, 8, 9\), those of the fit \(3, 8, 10\)"):
        ImagePreprocessing().fit(X).transform(X[..., :9])
    with pytest.raises(InputError, match="divide 8-bit images by 255"):
        ImageAugmentation(brightness=0.5).fit(X).transform(X * 255)
    with pytest.raises(DataError, match="6 images but 5 labels"):
        ImageAugmentation().augment(X, [0] * 5, 2)
    with pytest.raises(DataError, match="6 images, 1 sets of boxes and 6 of labels"):
        BoxAugmentation().augment(X, [[]], [[]] * 6)
    with pytest.raises(DataError, match="1 boxes and 2 labels"):
        BoxAugmentation().augment(X[:1], [[[0, 0, 1, 1]]], [["a", "b"]])
    with pytest.raises(InputError, match="min_visibility must be a finite number >= 0 and <= 1"):
        BoxAugmentation(min_visibility=2).augment(X[:1], [[]], [[]])
    for box in ([0, 0, 0, 1], [9, 0, 2, 1], [-1, 0, 2, 2]):
        with pytest.raises(DataError, match="within the image of 10 x 8 pixels"):
            move_boxes(np.array([box], dtype=float), np.eye(3)[:2], (8, 10), 0.1)


def test_an_image_without_boxes() -> None:
    _, found, names = BoxAugmentation(random_state=0).augment(X[:2], [[], [[1, 1, 4, 4]]], [[], ["cat"]])
    assert found[0].shape == (0, 4) and len(names[0]) == 0 and names[1].tolist() == ["cat"]
