"""Refusals, saving, text and pictures of ID3, C4.5 and the pruned trees."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from fivefold.base import codec
from fivefold.base.errors import FivefoldError
from fivefold.models.trees import (
    C45Classifier,
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ID3Classifier,
    PostPrunedTreeClassifier,
    PrePrunedTreeClassifier,
)

X = np.random.default_rng(0).integers(0, 3, (60, 3)).astype(float)
Y = np.where(X[:, 0] + X[:, 1] > 1, "yes", "no")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (ID3Classifier(max_depth=0), "`max_depth` is 0; give a whole number >= 1."),
        (ID3Classifier(min_samples_leaf=0), "`min_samples_leaf` is 0; give a whole number >= 1."),
        (C45Classifier(categorical_features=[7]), "`categorical_features` names column 7, but X has 3 columns"),
        (PrePrunedTreeClassifier(criterion="gini"), "`criterion` is 'gini'; give one of 'gain', 'gain-ratio'."),
        (PostPrunedTreeClassifier(validation_fraction=1), "`validation_fraction` is 1; give a number > 0 and < 1."),
    ],
)
def test_refusals(model, text):
    with pytest.raises(FivefoldError, match=f"^{re.escape(text)}"):
        model.fit(X, Y)


def test_refusals_of_data():
    gaps = X.copy()
    gaps[0, 0] = np.nan
    with pytest.raises(FivefoldError, match="Input X contains NaN"):
        ID3Classifier().fit(gaps, Y)
    assert C45Classifier().fit(gaps, Y).score(gaps, Y) > 0.9
    with pytest.raises(FivefoldError, match="`validation` is no pair"):
        PrePrunedTreeClassifier().fit(X, Y, validation=X)
    with pytest.raises(FivefoldError, match="is not fitted yet"):
        C45Classifier().predict(X)
    with pytest.raises(FivefoldError, match="`feature_names` has 2 names; the tree knows 3 features."):
        ID3Classifier().fit(X, Y).export_text(feature_names=["a", "b"])


@pytest.mark.parametrize("kind", [ID3Classifier, C45Classifier, PrePrunedTreeClassifier, PostPrunedTreeClassifier])
def test_saved_trees_answer_alike(kind, tmp_path):
    tree = kind(categorical_features=[0, 1]).fit(X, Y)
    codec.save(tree, tmp_path / "tree")
    again = codec.load(tmp_path / "tree")
    assert np.array_equal(again.predict_proba(X), tree.predict_proba(X))
    assert again.export_svg() == tree.export_svg()


@pytest.mark.parametrize(
    "tree",
    [
        ID3Classifier(max_depth=2),
        C45Classifier(categorical_features=[0]),
        DecisionTreeClassifier(max_depth=3),
        DecisionTreeClassifier(categorical_features=[0], max_leaf_nodes=4),
        DecisionTreeRegressor(max_depth=2),
    ],
)
def test_pictures_have_a_box_a_node_and_a_line_a_branch(tree):
    tree.fit(X, Y if hasattr(tree, "predict_proba") else X[:, 0] + X[:, 1])
    nodes = len(tree.feature_)
    picture = ElementTree.fromstring(tree.export_svg(feature_names=["a<b" * 9, "c&d", "e"]))
    name = "{http://www.w3.org/2000/svg}"
    boxes = picture.findall(f"{name}rect")
    assert len(boxes) == nodes and len(picture.findall(f"{name}line")) == nodes - 1
    texts = [element.text for element in picture.findall(f"{name}text")]
    assert any("a<b" in text or "c&d" in text for text in texts if text)
    spans = [(float(b.get("x")), float(b.get("y")), float(b.get("width"))) for b in boxes]
    for i, (x, y, width) in enumerate(spans):
        for other, level, wide in spans[i + 1 :]:
            assert y != level or x + width <= other or other + wide <= x


def test_counts_in_pictures():
    tree = DecisionTreeClassifier(max_depth=1).fit([[0.0], [1.0], [2.0]], ["a", "a", "b"])
    texts = [e.text for e in ElementTree.fromstring(tree.export_svg()).iter() if e.tag.endswith("text")]
    assert texts == [
        "yes",
        "no",
        "feature_0 <= 1.50",
        "3 rows [2, 1]",
        "class: a",
        "2 rows [2, 0]",
        "class: b",
        "1 rows [0, 1]",
    ]
    with pytest.raises(FivefoldError, match="`class_names` has 1 names; give 2, one a class."):
        tree.export_svg(class_names=["x"])
