"""Who computes which cell, where, and for how long: every method in a worker of its own, with a share of the budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .cells import Cell, CellSpec, CellStore, fold_cell, pair_cell, run_cell, spec_to_dict
from .plan import Plan
from .progress import Silent
from .splits import Splits
from .workspace import write_workspace

_FINISH = 0.3  # of a budget is kept for what follows the cross-validation
_WORK = "fivefold.workbench.comparison.workspace:work"


class Conductor:
    """Computes cells and keeps them; those of earlier attempts are not computed again.

    Parameters
    ----------
    plan : Plan
    directory : path
        Of the run; cells go to ``cells``, the plan for the workers to ``work``.
    other : Splits, optional
        The second splits.
    pool : Pool, optional
        Workers; without it everything is computed in this process, one cell after the other, without limits.
    started : float
        ``time.monotonic()`` when the command began, from which the budget counts.
    """

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        *,
        other: Splits | None = None,
        pool: Any = None,
        started: float | None = None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self.other = other
        self.pool = pool
        self.store = CellStore(directory / "cells")
        self.started = time.monotonic() if started is None else started
        if pool is not None:
            write_workspace(plan, directory / "work", other)

    def cross_validation(self) -> dict[str, list[CellSpec]]:
        """Return the cells of every method: its folds, and the pairs of folds that judge the choice where no row is sealed."""
        specs = [fold_cell(repeat, fold) for repeat, fold in self.plan.folds()]
        splits = self.plan.splits
        if splits.nested and splits.kind != "time":
            specs += [pair_cell(f, g) for f in range(splits.cv) for g in range(f + 1, splits.cv)]
        return {entry.id: specs for entry in self.plan.entries}

    def run(
        self,
        wanted: Mapping[str, Sequence[CellSpec]],
        watcher: Silent,
        *,
        last: bool = False,
        at_most: float | None = None,
    ) -> dict[str, dict[str, Cell]]:
        """Return method -> name -> cell; a cell whose worker was stopped has the reason.

        Parameters
        ----------
        last : bool, default False
            Whether the whole rest of the budget may be used.
        at_most : float, optional
            Seconds of each method, beside what the budget leaves.
        """
        found: dict[str, dict[str, Cell]] = {method: {} for method in wanted}
        missing: dict[str, list[CellSpec]] = {}
        for method, specs in wanted.items():
            fingerprint = self.plan.fingerprint(self.plan.entry(method))
            for spec in specs:
                cell = self.store.load(method, spec.name, fingerprint)
                if cell is None or (spec.keep and cell.ok and not self.store.model(method, spec.name).is_dir()):
                    missing.setdefault(method, []).append(spec)
                else:
                    found[method][spec.name] = cell
                    watcher.done(cell)
        if self.pool is None:
            self._here(missing, found, watcher)
        else:
            self._apart(missing, found, watcher, last, at_most)
        return found

    def _here(self, missing: Mapping[str, list[CellSpec]], found: dict[str, dict[str, Cell]], watcher: Silent) -> None:
        for method, specs in missing.items():
            watcher.start(method)
            for spec in specs:
                cell = run_cell(self.plan, self.plan.entry(method), spec, other=self.other, store=self.store)
                self.store.save(cell)
                found[method][spec.name] = cell
                watcher.done(cell)
                if cell.reason and spec.name.startswith("fold-"):
                    break

    def _apart(
        self,
        missing: Mapping[str, list[CellSpec]],
        found: dict[str, dict[str, Cell]],
        watcher: Silent,
        last: bool,
        at_most: float | None,
    ) -> None:
        from ..workers import memory_limit

        jobs = self.plan.options.jobs
        memory = memory_limit(jobs)
        waiting = list(missing)
        running: set[str] = set()

        def fill() -> None:
            while waiting and len(running) < jobs:
                method = waiting.pop(0)
                share = self._share(1 + len(waiting) + len(running), last)
                specs = [spec_to_dict(spec) for spec in missing[method]]
                arguments = {"directory": str(self.directory), "method": method, "cells": specs, "seconds": share}
                limit = min((seconds for seconds in (share, at_most) if seconds is not None), default=None)
                self.pool.submit(_WORK, arguments, memory=memory, seconds=limit, name=method)
                running.add(method)

        fill()
        for event in self.pool.events():
            method = event.task.name
            if event.kind == "start":
                watcher.start(method)
            elif event.kind == "progress":
                self._take(method, event.value["cell"], found, watcher)
            else:
                running.discard(method)
                for spec in missing[method]:
                    if spec.name not in found[method] and event.task.status != "ok":
                        found[method][spec.name] = self._stopped(method, spec, event.task)
                        watcher.done(found[method][spec.name])
                        if spec.name.startswith("fold-"):
                            break
                fill()

    def _take(self, method: str, name: str, found: dict[str, dict[str, Cell]], watcher: Silent) -> None:
        cell = self.store.load(method, name, self.plan.fingerprint(self.plan.entry(method)))
        if cell is not None:
            found[method][name] = cell
            watcher.done(cell)

    def _stopped(self, method: str, spec: CellSpec, task: Any) -> Cell:
        fingerprint = self.plan.fingerprint(self.plan.entry(method))
        reason = task.reason if task.status == "error" else f"{method} {task.reason}"
        return Cell(method=method, name=spec.name, fingerprint=fingerprint, reason=reason)

    def _share(self, methods: int, last: bool) -> float | None:
        """Return the seconds one of so many methods may take: an equal part of what is left."""
        budget = self.plan.options.budget
        if budget is None:
            return None
        left = self.started + budget * (1.0 if last else 1.0 - _FINISH) - time.monotonic()
        return max(0.5, left * min(self.plan.options.jobs, methods) / methods)

    @property
    def exhausted(self) -> bool:
        """Whether the budget is spent."""
        budget = self.plan.options.budget
        return budget is not None and time.monotonic() > self.started + budget
