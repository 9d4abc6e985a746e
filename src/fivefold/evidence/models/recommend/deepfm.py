"""Evidence for DeepFM and for the input layer that all models of click logs share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl

from fivefold.evidence import Check, evidence

from . import _plain as plain


@evidence(
    "deepfm",
    claim="Logits are first-order weights, all pairs of fields and the perceptron, row by row",
    against="a plain reading of the paper in Python floats, every pair in a loop",
)
def deepfm_by_hand() -> Check:
    from fivefold.models.recommend.deepfm import DeepFMNetwork

    layout, batch = plain.problem()
    worst = []
    for linear, bias, norm, hidden in ((True, True, True, (5, 3)), (False, True, False, (4,)), (True, False, True, ())):
        options: dict[str, Any] = {"use_linear": linear, "use_bias": bias, "batch_norm": norm, "dropout": 0.3}
        network = plain.randomized(DeepFMNetwork(layout, hidden, dim=3, **options))

        def score(row: int, network: Any = network, bias: bool = bias) -> list[float]:
            seen = plain.row_of(network, batch, row)
            total = seen["linear"] + (plain.weights(network.bias)[0] if bias else 0.0)
            total += sum(plain.dot(a, b) for a, b in itertools.combinations(seen["fields"], 2))
            if network.deep is not None:
                total += plain.dense(network.out, plain.through(network.deep, plain.flat(seen["fields"])))[0]
            return [total]

        worst.append(plain.furthest(network, batch, score))
    return Check(float(np.max(worst)), 1e-12, "largest difference of logits", "plain reading")


@evidence(
    "deepfm",
    claim="Parameters: rows (dim + 1) of the table, the layers' (in + 1) out with batch norm's 2 out, the last layer, the bias",
    against="the arithmetic of the sources",
)
def deepfm_parameters() -> Check:
    from fivefold.models.recommend.deepfm import DeepFMNetwork

    layout, _ = plain.problem()
    wrong = 0
    full = DeepFMNetwork(layout, (8, 4), dim=3)
    wrong += plain.count(full) != 25 * 4 + plain.perceptron_count([18, 8, 4], batch_norm=True) + 4 + 1
    bare = DeepFMNetwork(layout, (8,), dim=3, use_linear=False, use_bias=False, batch_norm=False)
    wrong += plain.count(bare) != 25 * 3 + plain.perceptron_count([18, 8], batch_norm=False) + 8
    wrong += plain.count(DeepFMNetwork(layout, (), dim=3)) != 25 * 4 + 1
    weight = DeepFMNetwork(layout, (), dim=1200).inputs.table.weight.detach().double()
    start = weight[:, :1200]
    # Of 30,000 normal numbers mean and spread lie within 5 standard errors.
    wrong += not (abs(start.mean()) <= 0.01 * 5 / 30_000**0.5 and abs(start.std() / 0.01 - 1) <= 5 / 60_000**0.5)
    wrong += bool((weight[:, 1200] != 0).any()) + (full.bias.detach().item() != 0)
    return Check(wrong, 0, "counts that differ", "arithmetic")


def _table() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "a": ["x", "y", "x", None, "z", "x"],
            "n": [1.0, None, 3.0, 5.0, 7.0, float("nan")],
            "k": [3, 1, 3, 3, 2, 1],
            "s": ["p|q", "", "q", None, "p|q|r|q", "r"],
            "h": pl.Series([["z"], [], ["x", "y"], ["w", "x", "z"], None, ["y"]], dtype=pl.List(pl.String)),
        }
    )


@evidence(
    "deepfm",
    claim="Codes, values, pooled sets, histories and counts of a hand-made table; unknown, rare and missing have code 0",
    against="the table, encoded by hand",
)
def encoder_by_hand() -> Check:
    from fivefold.models.recommend._fields import FieldEncoder, infer_fields

    options = {
        "a": {"kind": "categorical", "table": "t"},
        "n": {},
        "k": {"min_count": 2},
        "s": {"kind": "set", "max_length": 3},
        "h": {"kind": "sequence", "table": "t", "max_length": 2},
    }
    encoder = FieldEncoder(infer_fields(_table(), options)).fit(_table())
    found = encoder.transform(_table())
    # Table t holds w x y z after the unknown: rows 0-4; the number has row 5; k holds 1 and 3 (2 is rare): rows 6-8; s: 9-12.
    wrong = int(encoder.rows != 13) + int(encoder.starts != {"t": 0, "n": 5, "k": 6, "s": 9})
    spread = np.std([1, 3, 5, 7])
    wrong += found["inds"].tolist() != [[2, 5, 8], [3, 5, 7], [2, 5, 8], [0, 5, 8], [4, 5, 6], [2, 5, 7]]
    numbers = np.array([(1 - 4) / spread, 0, (3 - 4) / spread, (5 - 4) / spread, (7 - 4) / spread, 0])
    wrong += not float(np.abs(found["vals"][:, 1] - numbers).max()) <= 1e-15
    wrong += bool((found["vals"][:, [0, 2]] != 1).any())
    p, q, r = 10, 11, 12
    wrong += found["s"].tolist() != [[p, q, -1], [-1] * 3, [q, -1, -1], [-1] * 3, [p, q, r], [r, -1, -1]]
    wrong += found["h"].tolist() != [[4, -1], [-1, -1], [2, 3], [2, 4], [-1, -1], [3, -1]]
    wrong += encoder.counts().tolist() != [0, 1, 5, 3, 3, 1, 1, 2, 3, 0, 2, 4, 2]
    again = FieldEncoder.from_state(encoder.get_state()).transform(_table())
    wrong += sum(not np.array_equal(again[name], found[name]) for name in found)
    new = encoder.transform(
        pl.DataFrame({"h": [["x", "new"]], "s": ["z|p"], "k": ["3"], "n": [-1.0], "a": ["new"], "b": [1]})
    )
    wrong += new["inds"].tolist() != [[0, 5, 8]] or new["s"].tolist() != [[9, p, -1]] or new["h"].tolist() != [[2, 0]]
    return Check(wrong, 0, "differences", "by hand")


@evidence(
    "deepfm",
    claim="Hash buckets are CRC-32, log-scaled numbers and deciles are as defined, kinds follow the types of the columns",
    against="zlib, NumPy's quantiles and the definitions",
)
def encoder_scales() -> Check:
    import zlib

    from fivefold.models.recommend._fields import FieldEncoder, infer_fields

    draw = np.random.default_rng(0)
    x = np.round(draw.normal(size=200) * 9, 2)
    frame = pl.DataFrame(
        {"a": [f"u{i % 37}" for i in range(200)], "log": x, "bucket": x, "i": np.arange(200) % 3, "b": x > 0}
    )
    options = {"a": {"buckets": 11}, "log": {"scale": "log"}, "bucket": {"scale": "bucket"}}
    encoder = FieldEncoder(infer_fields(frame, options)).fit(frame)
    found = encoder.transform(frame)
    codes = [1 + zlib.crc32(name.encode()) % 11 for name in frame["a"].to_list()]
    wrong = int(found["inds"][:, 0].tolist() != codes) + int(encoder.tables["a"].rows != 12)
    wrong += encoder.counts()[:12].tolist() != np.bincount(codes, minlength=12).tolist()
    logs = np.sign(x) * np.log(1 + np.abs(x))
    wrong += not float(np.abs(found["vals"][:, 1] - (logs - logs.mean()) / logs.std()).max()) <= 1e-12
    cuts = np.quantile(x, np.arange(1, 10) / 10)
    wrong += found["inds"][:, 2].tolist() != (13 + 1 + (x[:, None] >= cuts).sum(1)).tolist()
    wrong += bool((found["vals"][:, 2] != 1).any()) + (encoder.rows != 12 + 1 + 11) + (encoder.numeric != [1])
    missing = encoder.transform(
        pl.DataFrame({"a": [None], "log": [None], "bucket": [None]}, schema=frame.schema and None)
    )
    wrong += missing["inds"].tolist() != [[0, 12, 13]] or missing["vals"].tolist() != [[1.0, 0.0, 1.0]]
    kinds = [f.kind for f in infer_fields(frame.with_columns(s=pl.lit([["a"]]).first()))]
    wrong += kinds[:5] != ["categorical", "numeric", "numeric", "categorical", "categorical"]
    return Check(wrong, 0, "differences", "definitions")


@evidence(
    "deepfm",
    claim="The mini-batch-aware penalty counts each looked-up row once, divided by its count; lazy steps leave other rows alone",
    against="loops over the rows; the table before",
)
def penalty_and_lazy_rows() -> Check:
    import torch

    from fivefold.evidence.batteries.ctr import FEATURES, clicks
    from fivefold.models.recommend._inputs import FieldNetwork
    from fivefold.models.recommend.deepfm import DeepFM

    layout, batch = plain.problem()
    network = plain.randomized(FieldNetwork(layout, 3, first_order=True))
    table = plain.weights(network.inputs.table.weight)
    codes = {c for name in ("inds", "tags", "history") for row in batch[name].tolist() for c in row if c >= 0}
    expected = sum(0.7 / 2 * plain.dot(table[c], table[c]) / max(layout.counts[c], 1) for c in codes)
    found = float(network.inputs.penalty(batch, 0.7, network.counts).detach())
    wrong = int(not abs(found - expected) < 1e-12)
    frame = clicks()
    half = frame.filter(pl.col("user") < 3)
    options: dict[str, Any] = {"features": FEATURES, "embedding_dim": 4, "hidden_sizes": (4,), "learning_rate": 0.05}
    lazy = DeepFM(**options, max_epochs=1, batch_size=64).fit(frame, "click", (frame["user"] < 3).cast(pl.Float64))
    # Rows of weight 0 are looked up, so their gradient is 0 and lazy Adam leaves them where they began.
    start = lazy.encoder_.starts["user"]
    moved = lazy.module_.inputs.table.weight[start : start + 8, 4] != 0
    wrong += moved.tolist() != [False, True, True, True, False, False, False, False]
    both = [
        DeepFM(**options, max_epochs=4, updates=u).fit(half, "click").decision_function(half) for u in ("lazy", "dense")
    ]
    wrong += int(not np.abs(both[0] - both[1]).max() > 0) + int(not lazy.module_.inputs.table.sparse)
    plan = lazy.memory_plan_
    wrong += f"{lazy.encoder_.rows:,} rows x 5 = 0.0 MiB" not in plan or "item 10" not in plan
    wrong += not torch.isfinite(lazy.module_.inputs.table.weight).all()
    return Check(wrong, 0, "differences", "loops")


@evidence(
    "deepfm",
    claim="On a planted product of two categories it reaches 90 % of the way from the linear model to the best possible ranking",
    against="the known probabilities of the rows; logistic regression",
)
def learns_the_product() -> Check:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import OneHotEncoder

    from fivefold.models.recommend.deepfm import DeepFM

    draw = np.random.default_rng(0)
    n = 6000
    a, b = draw.integers(0, 12, n), draw.integers(0, 12, n)
    u, v = draw.choice([-1.0, 1.0], 12), draw.choice([-1.0, 1.0], 12)
    p = 1 / (1 + np.exp(-2 * u[a] * v[b] - 0.3 * u[a]))
    frame = pl.DataFrame({"a": a, "b": b, "y": (draw.random(n) < p).astype(int)})
    train, test, best = frame[:4000], frame[4000:], p[4000:]
    y = test["y"].to_numpy()
    one_hot = OneHotEncoder().fit(frame.select("a", "b").to_numpy())
    linear = LogisticRegression().fit(one_hot.transform(train.select("a", "b").to_numpy()), train["y"].to_numpy())
    low = roc_auc_score(y, linear.decision_function(one_hot.transform(test.select("a", "b").to_numpy())))
    model = DeepFM(embedding_dim=4, hidden_sizes=(16,), learning_rate=0.02, max_epochs=4, batch_size=100)
    found = roc_auc_score(y, model.fit(train, "y").predict_proba(test)[:, 1])
    lift = (found - low) / (roc_auc_score(y, best) - low)
    return Check(float(lift), 0.9, "share of the possible lift", "Bayes rule", at_least=True)


@evidence(
    "deepfm",
    claim="Looked-up rows, their scale and the gradient that names each row once equal the plain embedding's",
    against="torch's embedding with dense gradients, over codes that meet and miss the edges of 64",
)
def lookup() -> Check:
    import torch

    from fivefold.base.errors import DataError
    from fivefold.models.recommend._lookup import RowTable, unique

    draw = np.random.default_rng(5)
    worst, wrong = [], 0
    for rows, dim in ((130, 3), (64, 4), (1, 4)):
        table = RowTable(rows, 4, sparse=True, dtype=torch.float64)
        codes = torch.from_numpy(draw.integers(0, rows, (5, 7)))
        codes[0, :3] = torch.tensor([0, rows - 1, min(63, rows - 1)])
        scale, toward = torch.from_numpy(draw.normal(size=(5, 7))), torch.from_numpy(draw.normal(size=(5, 7, 4)))
        for factor in (scale, None):
            for chosen in ([0, 1], [0], [1]):
                if dim == 4 and 1 in chosen:
                    continue
                found = table.looked_up(codes, factor, dim)
                expected = table.weight.detach()[codes] * (1 if factor is None else factor.unsqueeze(2))
                expected = expected.split([dim, 4 - dim], dim=2)
                worst += [float((a - b).detach().abs().max()) for a, b in zip(found, expected) if a.numel()]
                table.weight.grad = None
                ends = toward.split([dim, 4 - dim], dim=2)
                sum((found[k] * ends[k]).sum() for k in chosen).backward()
                grad = table.weight.grad
                full = torch.zeros(rows, 4, dtype=torch.float64)
                masked = torch.cat([ends[k] * (k in chosen) for k in (0, 1)], dim=2)
                masked = masked if factor is None else masked * factor.unsqueeze(2)
                full.index_add_(0, codes.reshape(-1), masked.reshape(-1, 4))
                worst.append(float((grad.to_dense() - full).abs().max()))
                wrong += grad._indices()[0].tolist() != sorted(set(codes.reshape(-1).tolist()))
        wrong += unique(codes.reshape(-1), rows).tolist() != sorted(set(codes.reshape(-1).tolist()))
        with torch.no_grad():
            plain_rows = table.looked_up(codes, scale, dim)
        both = zip(plain_rows, table.looked_up(codes, scale, dim))
        worst += [float((a - b).detach().abs().max()) for a, b in both if a.numel()]
    for outside in (-1, rows):
        try:
            table.looked_up(torch.tensor([0, outside]), None, 4)
        except DataError as error:
            wrong += f"index {outside}; the table has the indices 0 to {rows - 1}" not in str(error)
        else:
            wrong += 1
    return Check(float(np.max(worst)) + wrong, 1e-14, "largest difference", "torch")


@evidence(
    "deepfm",
    claim="The pairwise term and its gradient equal the sum over pairs of fields",
    against="a double loop over the fields; automatic differentiation of it",
)
def pairs() -> Check:
    import torch

    from fivefold.models.recommend._pairs import pairwise_sum

    draw = np.random.default_rng(6)
    e = torch.from_numpy(draw.normal(size=(6, 5, 3))).requires_grad_(True)
    toward = torch.from_numpy(draw.normal(size=6))
    looped = sum((e[:, i] * e[:, j]).sum(1) for i in range(5) for j in range(i))
    expected = torch.autograd.grad((looped * toward).sum(), e)[0]
    found = pairwise_sum(e)
    grad = torch.autograd.grad((found * toward).sum(), e)[0]
    bare, strided = pairwise_sum(e.detach()), pairwise_sum(e.transpose(0, 1).contiguous().transpose(0, 1))
    differences = [found - looped, grad - expected, bare - looped, strided - looped]
    return Check(max(float(d.detach().abs().max()) for d in differences), 1e-13, "largest difference", "double loop")


@evidence(
    "deepfm",
    claim="Gradients name rows alone where a step moves these alone, or the optimizer steps densely from them; the memory plan",
    against="the combinations written out; the arithmetic",
)
def updates_and_plan() -> Check:
    import contextlib
    import io

    from fivefold.engine.session import session
    from fivefold.evidence.batteries.ctr import clicks
    from fivefold.models.recommend._fields import FieldEncoder, infer_fields
    from fivefold.models.recommend.deepfm import DeepFM

    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"weight_decay": 0.1, "optimizer": "adam"}, True),
        ({"updates": "dense"}, True),
        ({"updates": "dense", "optimizer": "adam"}, False),
        ({"updates": "dense", "optimizer": "adam", "weight_decay": 0.1}, False),
        ({"updates": "dense", "weight_decay": 0.1}, False),
        ({"updates": "dense", "optimizer_options": {"lazy": False}}, False),
        ({"updates": "dense", "optimizer_options": {"betas": (0.8, 0.9)}}, True),
        *(({"updates": "dense", name: 1.0}, False) for name in ("clip_norm", "clip_norm_each", "clip_value")),
    ]
    wrong = [DeepFM(**options)._by_rows() != by_rows for options, by_rows in cases]
    frame = clicks()
    fields = infer_fields(frame, {"user": {"buckets": 2**21 - 1}, "price": "numeric"})
    big = 2**21 + 1
    plans: list[tuple[dict[str, Any], str]] = [
        ({}, f"{big:,} rows x 17 = 136.0 MiB, 272.0 MiB of optimizer state (lazy updates)"),
        ({"optimizer": "adagrad"}, f"{big:,} rows x 17 = 136.0 MiB, 136.0 MiB of"),
        ({"optimizer": "sgd", "updates": "dense"}, "= 136.0 MiB, 0.0 MiB of optimizer state (dense updates)"),
        ({"optimizer": "rmsprop"}, "= 136.0 MiB, 272.0 MiB of"),
        ({"precision": "64-true", "use_linear": False}, f"{big:,} rows x 16 = 256.0 MiB, 512.0 MiB of"),
    ]
    for options, words in plans:
        model = DeepFM(**options)
        model.encoder_ = FieldEncoder(fields).fit(frame)
        plan = model._memory_plan()
        wrong.append(words not in plan or not plan.endswith(f"; rows by table: user {2**21:,}."))
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        model._plan()
        with session(progress=True):
            model._plan()
    wrong.append(told.getvalue() != f"{model.memory_plan_}\n")
    return Check(sum(wrong), 0, "differences", "written out")
