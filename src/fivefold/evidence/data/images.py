"""Evidence for image preprocessing and augmentation, with and without boxes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fivefold.evidence import Check, evidence, largest, smallest


def _photos(n: int = 3, channels: int = 3, height: int = 17, width: int = 23) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(n, channels, height, width))


@evidence(
    "image-preprocessing",
    claim="Shrinking and growing agree pixel by pixel for bilinear, bicubic and nearest filters",
    against="Pillow's Image.resize in 32-bit floats",
    peer="PIL",
)
def resize_peer() -> Check:
    from PIL import Image

    from fivefold.data.image_preprocessing import ImagePreprocessing

    X = _photos()
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    filters["nearest"] = Image.Resampling.NEAREST
    worst = 0.0
    for (name, peer), (h, w) in itertools.product(filters.items(), ((5, 9), (40, 31), (17, 8), (34, 46), (1, 1))):
        ours = ImagePreprocessing(size=(h, w), filter=name, normalize=False).fit_transform(X)
        for image, found in zip(X.reshape(-1, 17, 23), ours.reshape(-1, h, w)):
            resized = Image.fromarray(image.astype(np.float32), mode=None).resize((w, h), peer)
            worst = largest(worst, float(np.abs(np.asarray(resized) - found).max()))
    # Floats of 32 bits between two passes: a few units of 1.2e-7 per tap.
    return Check(worst, 1e-6, "largest difference", "Pillow")


@evidence(
    "image-preprocessing",
    claim="A linear ramp stays a ramp inside, halving is the mean of the neighborhood's triangle, size keeps the ratio",
    against="closed form",
)
def resize_closed_form() -> Check:
    from fivefold.data.image_preprocessing import ImagePreprocessing
    from fivefold.data.images import resize_matrix

    worst = 0.0
    for size, wanted in ((16, 8), (12, 4), (8, 16)):
        weight = resize_matrix(size, wanted, "bilinear")
        worst = largest(worst, float(np.abs(weight.sum(axis=1) - 1).max()))
        centers = (np.arange(wanted) + 0.5) * size / wanted - 0.5
        inside = slice(2, -2) if wanted > 4 else slice(1, -1)
        worst = largest(worst, float(np.abs(weight @ np.arange(size) - centers)[inside].max()))
    # Halving: the triangle of half-width 2 at distances 1/2 and 3/2 weighs 3/8 and 1/8.
    worst = largest(
        worst, float(np.abs(resize_matrix(16, 8, "bilinear")[4, 7:11] - [1 / 8, 3 / 8, 3 / 8, 1 / 8]).max())
    )
    shapes = [ImagePreprocessing(size=s).fit_transform(_photos(1, 1, 10, 15)).shape[2:] for s in (20, (4, 6))]
    tall = ImagePreprocessing(size=5).fit_transform(_photos(1, 1, 15, 10)).shape[2:]
    return Check(worst + (shapes != [(20, 30), (4, 6)]) + (tall != (7, 5)), 1e-12, "difference", "closed form")


@evidence(
    "image-preprocessing",
    claim="Training images get mean 0 and deviation 1 a channel, given statistics are used, a constant channel stays finite",
    against="the definition",
)
def normalize_definition() -> Check:
    from fivefold.data.image_preprocessing import ImagePreprocessing

    X = _photos(20) * np.array([1, 5, 0.1]).reshape(1, 3, 1, 1) + 3
    out = ImagePreprocessing().fit_transform(X)
    worst = float(np.abs(out.mean(axis=(0, 2, 3))).max() + np.abs(out.std(axis=(0, 2, 3)) - 1).max())
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    given = ImagePreprocessing(mean=mean, std=std).fit(X).transform(X)
    worst = largest(worst, float(np.abs(given - (X - mean[:, None, None]) / std[:, None, None]).max()))
    X[:, 1] = 7.1
    worst = largest(worst, float(np.abs(ImagePreprocessing().fit_transform(X)[:, 1]).max()))
    half = ImagePreprocessing().fit_transform(X.astype(np.float32))
    # Black, and 16-bit gray whose sums are rounded: neither has a deviation; a faint pattern has one, however small.
    for level, rest in ((0.0, 0.0), (65535.1, 1e-6), (1e5 / 3, 1e-6)):
        X[:, 1] = level
        model = ImagePreprocessing().fit(X)
        worst = largest(worst, abs(model.std_[1] - 1.0), float(not abs(model.transform(X)[:, 1]).max() <= rest))
    X[:, 1] = 1e-6 * _photos(20)[:, 1]
    worst = largest(worst, abs(ImagePreprocessing().fit_transform(X)[:, 1].std() - 1.0))
    faint = ImagePreprocessing(mean=mean, std=1e-14 * std).fit(X).std_
    return Check(worst + (half.dtype != np.float32) + (faint != 1e-14 * std).any(), 1e-12, "difference", "definition")


@evidence(
    "image-preprocessing",
    claim="Center crops, flips and color factors are those of the formulas",
    against="slices; blends with black, the mean gray and the own gray written out per pixel",
)
def crop_and_colors() -> Check:
    from fivefold.data.image_preprocessing import ImagePreprocessing

    X = _photos()

    def run(**options: Any) -> np.ndarray:
        return ImagePreprocessing(normalize=False, **options).fit_transform(X)

    worst = float(np.abs(run(crop=(7, 9)) - X[:, :, 5:12, 7:16]).max())
    worst = largest(worst, float(np.abs(run(crop=17) - X[:, :, :, 3:20]).max()))
    worst = largest(worst, float(np.abs(run(flip="horizontal") - X[..., ::-1]).max()))
    worst = largest(worst, float(np.abs(run(flip="vertical") - X[:, :, ::-1]).max()))
    gray = 0.299 * X[:, 0] + 0.587 * X[:, 1] + 0.114 * X[:, 2]
    worst = largest(worst, float(np.abs(run(brightness=1.5) - np.minimum(1.5 * X, 1)).max()))
    for i in range(3):
        middle = gray[i].mean()
        contrast = np.clip(1.8 * X[i] + (1 - 1.8) * middle, 0, 1)
        worst = largest(worst, float(np.abs(run(contrast=1.8)[i] - contrast).max()))
        color = np.clip(0.3 * X[i] + 0.7 * gray[i], 0, 1)
        worst = largest(worst, float(np.abs(run(saturation=0.3)[i] - color).max()))
    worst = largest(worst, float(np.ptp(run(saturation=0.0), axis=1).max()))
    return Check(worst, 1e-14, "largest difference", "formulas")


@evidence(
    "image-augmentation",
    claim="Quarter turns, mirrorings and whole-pixel moves are exact; a positive angle turns counter-clockwise",
    against="numpy.rot90, reversed and shifted slices",
)
def warp_exact() -> Check:
    from fivefold.data.images import center_matrices, warp

    X = _photos(1, 2, 9, 9)

    def moved(angle: float = 0, flip: tuple[bool, bool] = (False, False), shift: tuple[float, float] = (0, 0)) -> Any:
        maps = center_matrices((9, 9), angle=[angle], shear=[0], scale=np.ones(1), shift=[shift], flip=[flip])
        return warp(X, maps, 0.5)

    worst = 0.0
    for turns in range(-2, 3):
        worst = largest(worst, float(np.abs(moved(90 * turns) - np.rot90(X, turns, axes=(2, 3))).max()))
    worst = largest(worst, float(np.abs(moved(flip=(True, False)) - X[..., ::-1]).max()))
    worst = largest(worst, float(np.abs(moved(flip=(False, True)) - X[:, :, ::-1]).max()))
    shifted = np.full_like(X, 0.5)
    shifted[:, :, :-3, 2:] = X[:, :, 3:, :-2]
    worst = largest(worst, float(np.abs(moved(shift=(2, -3)) - shifted).max()))
    return Check(worst, 1e-9, "largest difference", "slices")


@evidence(
    "image-augmentation",
    claim="Random maps with shear and zoom give the pixels of bilinear interpolation with constant border",
    against="scipy.ndimage.affine_transform(order=1, mode='grid-constant')",
)
def warp_peer() -> Check:
    from scipy.ndimage import affine_transform

    from fivefold.data.image_augmentation import ImageAugmentation

    X = _photos(6, 2, 12, 10)
    model = ImageAugmentation(
        rotation=180, shear=30, translation=0.4, zoom=0.5, flip_horizontal=0.5, fill=0.3, random_state=0
    )
    out = model.fit(X).transform(X)
    worst = 0.0
    for image, map_, found in zip(X, model.matrices(6), out):
        back = np.linalg.inv(map_[:, :2])
        # ndimage counts (row, column), the maps (x, y).
        turned, offset = back[::-1, ::-1], (-back @ map_[:, 2])[::-1]
        for c in range(2):
            peer = affine_transform(image[c], turned, offset, order=1, mode="grid-constant", cval=0.3)
            worst = largest(worst, float(np.abs(peer - found[c]).max()))
    return Check(worst, 1e-9, "largest difference", "scipy.ndimage")


@evidence(
    "image-augmentation",
    claim="A marked spot moves to where the map takes its middle, angles and moves stay in range and are uniform",
    against="the center of mass; Kolmogorov-Smirnov with chance below 1e-8",
)
def warp_marks() -> Check:
    from scipy.stats import kstest

    from fivefold.data.image_augmentation import ImageAugmentation

    place = np.arange(41)
    spots = np.random.default_rng(0).uniform(14, 26, (40, 2))  # x, y
    gaps = (place - spots[:, :1, None]) ** 2, (place[:, None] - spots[:, 1, None, None]) ** 2
    X = np.exp(-(gaps[0] + gaps[1]) / 8)[:, None]
    model = ImageAugmentation(rotation=40, shear=10, translation=0.1, zoom=0.2, random_state=1).fit(X)
    out, maps = model.transform(X)[:, 0], model.matrices(40)
    mass = out.sum(axis=(1, 2))
    found = np.stack([(out.sum(axis=1) * place).sum(axis=1), (out.sum(axis=2) * place).sum(axis=1)], axis=1)
    expected = np.einsum("nij,nj->ni", maps[:, :, :2], spots) + maps[:, :, 2]
    # Interpolation spreads a spot evenly; the cut-off tails of the Gaussian weigh less than 0.01 pixels.
    worst = float(np.abs(found / mass[:, None] - expected).max())
    plain = ImageAugmentation(rotation=25, translation=0.2, random_state=2).fit(X)
    many = plain.matrices(4000)
    angle = np.rad2deg(np.arctan2(many[:, 0, 1], many[:, 0, 0]))
    middle = np.array([20.0, 20.0])
    moves = (np.einsum("nij,j->ni", many[:, :, :2], middle) + many[:, :, 2] - middle) / (0.2 * 41)
    wrong = [kstest(angle / 50 + 0.5, "uniform").pvalue < 1e-8]
    wrong += [kstest(column / 2 + 0.5, "uniform").pvalue < 1e-8 for column in moves.T]
    return Check(worst + sum(wrong), 0.05, "pixels", "center of mass")


@evidence(
    "image-augmentation",
    claim="Noise has its deviation, mirroring its chance, colors stay in [0, 1]; epochs differ, one epoch repeats",
    against="moments of 20,000 draws within six deviations",
)
def augment_draws() -> Check:
    from fivefold.data.image_augmentation import ImageAugmentation

    X = np.full((200, 1, 10, 10), 0.5)
    still: dict[str, Any] = {"rotation": 0, "translation": 0, "random_state": 3}
    noise = ImageAugmentation(noise=0.1, **still).fit(X).transform(X) - 0.5
    wrong = int(not abs(noise.std() - 0.1) <= 6 * 0.1 / np.sqrt(2 * 20_000)) + int(
        not abs(noise.mean()) <= 6 * 0.1 / np.sqrt(20_000)
    )
    ramp = np.tile(np.arange(10) / 10, (4000, 1, 10, 1))
    flips = ImageAugmentation(flip_horizontal=0.3, flip_vertical=0.0, **still).fit(ramp).transform(ramp)
    turned = flips[:, 0, 0, 0] > 0.5
    wrong += int(not abs(turned.mean() - 0.3) <= 6 * np.sqrt(0.21 / 4000)) + int(
        (flips[~turned] != ramp[~turned]).any()
    )
    colors = ImageAugmentation(brightness=0.8, contrast=0.5, saturation=0.5, **still).fit(X)
    a, b = colors.transform(X), colors.transform(X, epoch=1)
    wrong += int(not a.min() >= 0 or not a.max() <= 1) + int((a == b).all()) + int((colors.transform(X) != a).any())
    # A uniform image has no contrast: only brightness moves it, uniformly over 0.5 * (0.2 … 1.8).
    means = a.mean(axis=(1, 2, 3))
    wrong += int(not means.min() >= 0.1 - 1e-9) + int(not means.max() <= 0.9 + 1e-9) + int(not means.std() >= 0.15)
    unchanged = ImageAugmentation(**still).fit(X).transform(X)
    found = ImageAugmentation().get_params()
    wrong += (found.pop("rotation"), found.pop("translation"), found.pop("random_state")) != (15.0, 0.1, None)
    wrong += any(value != 0.0 for value in found.values())
    return Check(wrong + int((unchanged != X).any()), 0, "violations", "moments")


@evidence(
    "image-augmentation",
    claim="With 4 digits a class, 30 variants of each raise the accuracy on the rest by at least 0.02, mean of 5 draws",
    against="the same classifier on the images as they are",
)
def augment_helps() -> Check:
    from sklearn.neighbors import KNeighborsClassifier

    from fivefold.data.datasets import load_dataset
    from fivefold.data.image_augmentation import ImageAugmentation

    arrays = load_dataset("digits").arrays
    x, y = arrays["x"], arrays["y"]
    gains = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(y))
        train = np.concatenate([order[y[order] == k][:4] for k in range(10)])
        test = np.setdiff1d(order, train)
        model = ImageAugmentation(rotation=15, translation=0.12, zoom=0.1, random_state=seed)
        grown, labels = model.augment(x[train], y[train], 30)
        scores = [
            KNeighborsClassifier(1).fit(a.reshape(len(a), -1), b).score(x[test].reshape(len(test), -1), y[test])
            for a, b in ((x[train], y[train]), (grown, labels))
        ]
        gains.append(scores[1] - scores[0])
    return Check(float(np.mean(gains)), 0.02, "gain in accuracy", "without augmentation", at_least=True)


@evidence(
    "bbox-augmentation",
    claim="Mirrored, turned by 90 and 45 degrees and scaled boxes have the corners worked out by hand",
    against="arithmetic on a 20 x 10 and a 10 x 10 image",
)
def boxes_by_hand() -> Check:
    from fivefold.data.image_augmentation import move_boxes
    from fivefold.data.images import center_matrices

    def moved(
        box: list[float], shape: tuple[int, int], angle: float = 0.0, scale: float = 1.0, flip: Any = (0, 0)
    ) -> Any:
        maps = center_matrices(
            shape, angle=[angle], shear=[0], scale=np.array([scale]), shift=[[0, 0]], flip=[np.array(flip, dtype=bool)]
        )
        return move_boxes(np.array([box]), maps[0], shape, 0.1)[0][0]

    box = [2.0, 1.0, 4.0, 3.0]
    cases = [
        (moved(box, (10, 20)), box),
        (moved(box, (10, 20), flip=(1, 0)), [20 - 2 - 4, 1, 4, 3]),
        (moved(box, (10, 20), flip=(0, 1)), [2, 10 - 1 - 3, 4, 3]),
        # Counter-clockwise: (x, y) goes to (y, 10 - x).
        (moved(box, (10, 10), angle=90), [1, 10 - 6, 3, 4]),
        (moved(box, (10, 10), angle=-90), [10 - 4, 2, 3, 4]),
        (moved(box, (10, 10), angle=180), [10 - 6, 10 - 4, 4, 3]),
        (moved([4.0, 4.0, 2.0, 2.0], (10, 10), angle=45), [5 - 2**0.5, 5 - 2**0.5, 8**0.5, 8**0.5]),
        (moved([4.0, 4.0, 2.0, 2.0], (10, 10), scale=2.0), [3, 3, 4, 4]),
        (moved([0.0, 4.0, 4.0, 2.0], (10, 10), scale=2.0), [0, 3, 3, 4]),
    ]
    worst = largest(float(np.abs(found - np.array(expected)).max()) for found, expected in cases)
    return Check(worst, 1e-12, "pixels", "by hand")


@evidence(
    "bbox-augmentation",
    claim="A box stays as long as at least min_visibility of it is in sight; labels go with their boxes",
    against="boxes of known visible part: scaled by 2, a border box keeps a part that is known",
)
def boxes_visibility() -> Check:
    from fivefold.data.image_augmentation import BoxAugmentation

    X = np.zeros((1, 1, 40, 40))
    # Doubled about 20, [x, x + 4] becomes [2x - 20, 2x - 12]: in sight are (2x - 12) / 8 for x from 6 to 10.
    boxes = np.array([[x, 18, 4, 4] for x in (0, 6, 6.4, 8, 10, 16)], dtype=float)
    labels = list("abcdef")
    wrong = 0
    for least, expected in ((0.0, "cdef"), (0.1, "cdef"), (0.11, "def"), (0.5, "def"), (0.51, "ef"), (1.0, "ef")):
        model = BoxAugmentation(
            flip_horizontal=0, flip_vertical=0, rotation=0, scale=2.0, min_visibility=least - 1e-9 if least else 0
        )
        _, found, names = model.augment(X, [boxes], [labels])
        wrong += "".join(names[0]) != expected or len(found[0]) != len(expected)
        wrong += int((~(found[0][:, :2] >= 0)).any() or (~(found[0][:, :2] + found[0][:, 2:] <= 40)).any())
    default = BoxAugmentation()
    facts = (default.flip_horizontal, default.flip_vertical, default.rotation, default.rotation_chance)
    wrong += facts != (0.5, 0.5, 180.0, 0.9) or default.scale != 1.0 or default.min_visibility != 0.1
    return Check(wrong, 0, "wrong sets", "known parts")


@evidence(
    "bbox-augmentation",
    claim="After random changes each bright rectangle lies within its box and touches all four sides, up to a pixel",
    against="the extent of the pixels above 1/2 in the changed images",
)
def boxes_follow_pixels() -> Check:
    from fivefold.data.image_augmentation import BoxAugmentation

    draw = np.random.default_rng(0)
    X = np.zeros((60, 1, 64, 64))
    boxes = []
    for image in X:
        w, h = draw.integers(6, 14, 2)
        x, y = draw.integers(18, 32, 2)
        image[0, y : y + h, x : x + w] = 1.0
        boxes.append([[x, y, w, h]])
    model = BoxAugmentation(random_state=4)
    out, found, _ = model.augment(X, boxes, [[0]] * 60)
    worst, angles = 0.0, []
    for image, box, map_ in zip(out[:, 0], found, model.matrices(60, (64, 64))):
        rows, columns = np.nonzero(image > 0.5)
        x, y, w, h = box[0]
        # A corner that is turned is thin: its last pixel above 1/2 may lie up to 1.5 pixels inside.
        gaps = [columns.min() - x, rows.min() - y, x + w - columns.max() - 1, y + h - rows.max() - 1]
        worst = largest(worst, -smallest(gaps) - 0.5, largest(gaps) - 1.5)
        angles.append(abs(map_[0, 1]) > 1e-9)
    turned = np.mean(angles)
    return Check(worst + (not 0.66 < turned <= 1.0) + (turned == 1.0), 0.0, "pixels beyond", "pixels")


@evidence(
    "bbox-augmentation",
    claim="Mirrorings and turns come as often as asked, one epoch repeats and another differs",
    against="counts of 4,000 draws within six deviations",
)
def boxes_draws() -> Check:
    from fivefold.data.image_augmentation import BoxAugmentation

    model = BoxAugmentation(flip_horizontal=0.2, flip_vertical=0.7, rotation=30, rotation_chance=0.6, random_state=0)
    maps = model.matrices(4000, (10, 10))[:, :, :2]
    wrong = int((model.matrices(4000, (10, 10))[:, :, :2] != maps).any())
    wrong += int((model.matrices(4000, (10, 10), epoch=1)[:, :, :2] == maps).all())
    share = [(maps[:, 0, 0] < 0).mean(), (maps[:, 1, 1] < 0).mean(), (np.abs(maps[:, 0, 1]) > 1e-12).mean()]
    for found, chance in zip(share, (0.2, 0.7, 0.6)):
        wrong += int(not abs(found - chance) <= 6 * np.sqrt(chance * (1 - chance) / 4000))
    angle = np.rad2deg(np.arcsin(np.abs(maps[:, 0, 1])))
    wrong += int(not angle.max() <= 30) + int(not angle.max() >= 29)
    return Check(wrong, 0, "violations", "chance")
