"""The rules of a tree as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fivefold.base.errors import InputError

from ._drawing import Box

if TYPE_CHECKING:
    from ._tree import BinaryTree

_SHOWN_LEVELS = 10


def tree_text(tree: BinaryTree, feature_names: Any, class_names: Any, max_depth: int, decimals: int) -> str:
    """Return one line a rule and one a leaf, indented by depth."""
    names, labels = _names(tree, feature_names), _labels(tree, class_names)
    lines: list[str] = []
    stack: list[tuple[int, int, str]] = [(0, 0, "")]
    while stack:
        node, depth, rule = stack.pop()
        if rule:
            lines.append(f"{'|   ' * (depth - 1)}|--- {rule}")
        bar = f"{'|   ' * depth}|---"
        if tree.children_left_[node] < 0:
            if labels is None:
                lines.append(f"{bar} value: [{tree.value_[node]:.{decimals}f}]")
            else:
                lines.append(f"{bar} class: {labels[tree.value_[node].argmax()]}")
        elif depth > max_depth:
            lines.append(f"{bar} truncated branch of depth {_depth_below(tree, node)}")
        else:
            yes, no = _rules(tree, node, names, decimals)
            stack.append((int(tree.children_right_[node]), depth + 1, no))
            stack.append((int(tree.children_left_[node]), depth + 1, yes))
    return "\n".join(lines) + "\n"


def tree_boxes(tree: BinaryTree, feature_names: Any, class_names: Any, decimals: int) -> list[Box]:
    """Return the boxes of the picture: the rule or the answer, below it the rows and what they are."""
    names, labels = _names(tree, feature_names), _labels(tree, class_names)
    boxes = []
    edges = {0: ""}
    for node in range(len(tree.feature_)):
        left, right = int(tree.children_left_[node]), int(tree.children_right_[node])
        rows = f"{tree.n_node_samples_[node]} rows"
        if labels is None:
            answer, counts = f"value: {tree.value_[node]:.{decimals}f}", rows
        else:
            weights = (tree.value_[node] * tree.weighted_n_node_samples_[node]).round(decimals)
            answer = f"class: {labels[tree.value_[node].argmax()]}"
            counts = f"{rows} [{', '.join(f'{w:g}' for w in weights)}]"
        title = answer
        if left >= 0:
            title = _rules(tree, node, names, decimals)[0]
            edges[left], edges[right] = "yes", "no"
        boxes.append(Box(title, counts, "", [left, right] if left >= 0 else []))
    for node, edge in edges.items():
        boxes[node].edge = edge
    return boxes


def _labels(tree: BinaryTree, class_names: Any) -> Any:
    classes = getattr(tree, "classes_", None)
    if class_names is not None and (classes is None or len(class_names) != len(classes)):
        wanted = "none, for this is a regressor" if classes is None else f"{len(classes)}, one a class"
        raise InputError(f"`class_names` has {len(class_names)} names; give {wanted}.")
    return classes if class_names is None else class_names


def _names(tree: BinaryTree, given: Any) -> list[str]:
    if given is None:
        given = getattr(tree, "feature_names_in_", [f"feature_{i}" for i in range(tree.n_features_in_)])
    names = [str(name) for name in given]
    if len(names) != tree.n_features_in_:
        raise InputError(f"`feature_names` has {len(names)} names; the tree knows {tree.n_features_in_} features.")
    return names


def _rules(tree: BinaryTree, node: int, names: list[str], decimals: int) -> tuple[str, str]:
    feature = int(tree.feature_[node])
    levels = tree.categories_[feature]
    if levels is None:
        threshold = f"{tree.threshold_[node]:.{decimals}f}"
        return f"{names[feature]} <= {threshold}", f"{names[feature]} >  {threshold}"
    number = np.arange(len(levels))
    words = tree.level_bits_[tree.level_offset_[node] + number // 64]
    left = levels[(words >> (number % 64).astype(np.uint64)) & np.uint64(1) == 1]
    shown = ", ".join(f"{v:g}" for v in left[:_SHOWN_LEVELS]) + (", …" if len(left) > _SHOWN_LEVELS else "")
    return f"{names[feature]} in {{{shown}}}", f"{names[feature]} not in {{{shown}}}"


def _depth_below(tree: BinaryTree, node: int) -> int:
    deepest, stack = 1, [(node, 1)]
    while stack:
        at, depth = stack.pop()
        deepest = max(deepest, depth)
        if tree.children_left_[at] >= 0:
            stack += [(int(tree.children_left_[at]), depth + 1), (int(tree.children_right_[at]), depth + 1)]
    return deepest
