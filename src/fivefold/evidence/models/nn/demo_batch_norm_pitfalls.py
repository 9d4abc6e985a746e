"""Batch normalization's pitfalls: the variance of batch statistics, sorted batches, and what each mistake costs."""

from __future__ import annotations

import tempfile

import torch

from fivefold.evidence import Check, evidence, largest, smallest

from ._common import noise


@evidence(
    "batch-norm-pitfalls",
    claim="A batch of m rows is off by a variance of 1/m in its mean and keeps (m - 1)/m of the variance",
    against="sampling theory, within five standard errors",
)
def sampling() -> Check:
    from fivefold.demos.nn.batch_norm_pitfalls import statistics_error

    x, worst, repeats = noise(400, 60) * torch.linspace(0.5, 3, 60) + 2, 0.0, 2000
    x[:, 5] = 1.0  # a constant feature has no statistics to miss
    for size in (2, 5, 32):
        mean, variance = statistics_error(x, size, repeats, torch.Generator().manual_seed(size))
        # Both are means of repeats x 59 squares, whose relative deviation is about sqrt(2), of variances sqrt(2 / (m - 1)).
        worst = largest(worst, abs(mean * size - 1) / (2 / repeats / 59) ** 0.5)
        worst = largest(worst, abs(variance * size / (size - 1) - 1) / (2 / (size - 1) / repeats / 59) ** 0.5)
    return Check(worst, 5.0, "standard errors", "1/m and (m - 1)/m")


@evidence(
    "batch-norm-pitfalls", claim="Sorted batches hold one class each, in turn; others hold all", against="definition"
)
def order() -> Check:
    from fivefold.demos.nn.batch_norm_pitfalls import batches

    y = torch.arange(90) % 3
    sorted_rows = batches(y, 7, 20, False, torch.Generator().manual_seed(0))
    drawn = batches(y, 7, 20, True, torch.Generator().manual_seed(0))
    wrong = sum(int(set(y[rows].tolist()) != {step % 3}) for step, rows in enumerate(sorted_rows))
    wrong += (
        sum(int(len(rows) != 20) for rows in (*sorted_rows, *drawn)) + abs(len(sorted_rows) - 7) + abs(len(drawn) - 7)
    )
    wrong += sum(int(len(y[rows].unique()) < 3) for rows in drawn)
    # Within a class rows differ from step to step.
    wrong += int(len(torch.cat(sorted_rows[::3]).unique()) < 15)
    return Check(wrong, 0, "violations", "definition")


@evidence(
    "batch-norm-pitfalls",
    claim="Forgotten updates and sorted batches train, or seem to, and fail in evaluation; layer norm does not care",
    against="a tenth of accuracy, on digits",
)
def mistakes() -> Check:
    from fivefold.demos.nn.batch_norm_pitfalls import BatchNormPitfalls

    with tempfile.TemporaryDirectory() as folder:
        result = BatchNormPitfalls().run(seed=2, out=folder, quick=True)

    def score(norm: str, case: str, kind: str = "in evaluation") -> float:
        return result.numbers[f"{norm}, {case}: accuracy {kind}"]

    margin = smallest(score("batch norm", "right"), score("layer norm", "right")) - 0.85
    # Without updates the same training is measured otherwise: batches agree exactly, evaluation does not.
    same = score("batch norm", "forgotten", "on training batches") == score(
        "batch norm", "right", "on training batches"
    )
    same &= score("layer norm", "forgotten") == score("layer norm", "right")
    margin = smallest(margin, score("batch norm", "right") - score("batch norm", "forgotten") - 0.1)
    margin = smallest(margin, score("batch norm", "right") - score("batch norm", "sorted") - 0.1)
    margin = smallest(margin, 0.1 - (score("layer norm", "right") - score("layer norm", "sorted")))
    errors = {m: result.numbers[f"batch norm, batches of {m}: error in evaluation"] for m in (2, 64)}
    same &= abs(errors[64] - (1 - score("batch norm", "right"))) < 1e-12
    margin = smallest(margin, errors[2] - errors[64] - 0.1)
    plain = result.numbers["layer norm, batches of 2: error in evaluation"]
    same &= errors[2] - errors[64] > plain - result.numbers["layer norm, batches of 64: error in evaluation"]
    for m in (2, 64):
        gap = result.numbers[f"batches of {m}: squared error of the mean over the variance"] * m - 1
        # 500 batches of 61 features; pixels are far from normal and correlated.
        same &= abs(gap) < 0.25
    return Check(margin if same else -1.0, 0.0, "least margin", "a tenth", at_least=True)
