"""The verb ``run``: any card or specification, into a directory that holds everything needed to look at it, go on or repeat it.

runs/<time>-<id>/  spec.yaml  run.json  metrics.jsonl  checkpoints/  model/  figures/*.png  report.html
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fivefold.base.errors import ArtifactError, FivefoldError, InputError, SpecError, TrainingError
from fivefold.base.files import write_text

from .context import Context
from .experiments import Experiment, stock
from .parts import check_spec
from .spec import Spec, read_spec, resolve_spec
from .store import RECORD, RunRecord, RunStore, now, read_record, versions


class RunInterrupted(KeyboardInterrupt):
    """A run stopped by Ctrl-C; ``directory`` can be resumed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"Interrupted; go on with `fivefold run --resume {directory}`.")
        self.directory = directory


def run(
    id_or_spec: str | Path | Mapping[str, Any] | Spec,
    *,
    out: str | os.PathLike[str] | None = None,
    quick: bool = False,
    resume: bool = False,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    device: str | None = None,
    devices: int | None = None,
    precision: str | None = None,
    tensorboard: bool = False,
    progress: bool = False,
    command: Sequence[str] = (),
) -> RunRecord:
    """Run the stock experiment of a card, or a specification.

    Parameters
    ----------
    id_or_spec : id, path of a YAML file, mapping or :class:`~fivefold.workbench.spec.Spec`
        With ``resume``: a run directory, its name, the beginning of its name, or "latest".
    out : path, optional
        Directory of the run, new or empty; by default ``runs/<time>-<id>``.
    quick : bool, default False
        A rehearsal of about a second.
    resume : bool, default False
        Go on with a run that was interrupted or killed.
    seed : int, optional
        By default what the specification says, else 0.
    overrides : sequence of "path=value"
        Such as ``"optimizer.lr=3e-4"``.
    device, devices, precision, tensorboard
        As in :func:`fivefold.engine.session.session`; ``devices`` above 1 starts that many processes.
    progress : bool, default False
        Show progress on stderr.
    command : sequence of str
        What was typed, for the record.

    Returns
    -------
    RunRecord

    Raises
    ------
    SpecError, CapabilityError, UnknownNameError
        Before any work, for a specification that cannot be run.
    RunInterrupted
        On Ctrl-C; the run can be resumed.
    """
    if resume:
        if isinstance(id_or_spec, (Mapping, Spec)):
            raise InputError("resume needs the directory or name of a run, not a specification.")
        directory = RunStore().find(id_or_spec)
        return resume_run(directory, progress=progress)
    if isinstance(id_or_spec, Spec):
        id_or_spec = id_or_spec.to_dict()
    trainer = {"device": device, "devices": devices, "precision": precision, "tensorboard": tensorboard or None}
    spec = resolve_spec(
        id_or_spec,
        overrides,
        seed=seed,
        quick=quick,
        trainer={key: value for key, value in trainer.items() if value is not None},
    )
    check_spec(spec)
    directory = RunStore().new(spec.id, out)
    write_text(directory / "spec.yaml", spec.to_yaml())
    _begin(spec, directory, command).write()
    return _launch(directory, spec, resume=False, progress=progress)


def resume_run(directory: str | os.PathLike[str], *, progress: bool = False) -> RunRecord:
    """Go on with a run; one that is finished is returned as it is."""
    place = Path(directory)
    spec = read_spec(place / "spec.yaml")
    if not (place / RECORD).is_file():
        # Killed between its first two files: nothing was done yet.
        _begin(spec, place, ()).write()
    record = read_record(place)
    if record.status == "finished":
        return record
    if record.kind == "comparison":
        raise InputError(f"{place} is a comparison; go on with `fivefold compare --resume {place}`.")
    record.changed(status="running", resumed=record.resumed + 1, error=None, ended=None).write()
    return _launch(place, spec, resume=True, progress=progress)


def _begin(spec: Spec, directory: Path, command: Sequence[str]) -> RunRecord:
    import platform

    typed = list(command) or ["fivefold", "run", str(directory / "spec.yaml")]
    return RunRecord(
        id=spec.id,
        kind=spec.card.kind,
        name=directory.name,
        status="running",
        seed=spec.seed,
        quick=spec.quick,
        started=now(),
        command=typed,
        versions=versions(),
        platform=platform.platform(),
        devices=spec.trainer.devices,
        origins=dict(spec.origins),
        directory=directory,
    )


def _launch(directory: Path, spec: Spec, *, resume: bool, progress: bool) -> RunRecord:
    if spec.trainer.devices == 1 or "RANK" in os.environ:
        return execute(directory, resume=resume, progress=progress)
    from fivefold.engine.distribution import launch_command

    arguments = ["fivefold.workbench.worker", str(directory), *(["--resume"] if resume else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if progress:
        environment["FIVEFOLD_PROGRESS"] = "1"
    process = subprocess.Popen(launch_command(arguments, spec.trainer.devices), env=environment)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise RunInterrupted(directory) from None
    record = read_record(directory)
    if status != 0 or record.status != "finished":
        raise TrainingError(record.error or f"The processes of {directory} ended with status {status}.")
    return record


def execute(directory: Path, *, resume: bool = False, progress: bool = False) -> RunRecord:
    """Carry out the run whose ``spec.yaml`` and ``run.json`` stand in ``directory``, in this process."""
    record = read_record(directory)
    spec = dataclasses.replace(read_spec(directory / "spec.yaml"), origins=record.origins)
    experiment = stock(spec.card.kind)
    first = int(os.environ.get("RANK", "0")) == 0
    say = _narrator(progress and first)
    context = Context(spec, spec.card, directory, resume=resume, first=first, say=say)
    try:
        with context.timed("total"):
            _play(experiment, context, progress=progress and first)
    except KeyboardInterrupt:
        if first:
            record.changed(status="interrupted", ended=now()).write()
        raise RunInterrupted(directory) from None
    except Exception as error:
        if first:
            text = str(error) if isinstance(error, FivefoldError) else f"{type(error).__name__}: {error}"
            record.changed(status="failed", ended=now(), error=text).write()
        raise
    if not first:
        return record
    return _finish(context, record)


def _play(experiment: Experiment, context: Context, *, progress: bool) -> None:
    if not experiment.SESSION:
        experiment.run(context)
        return
    from fivefold.engine.session import session

    trainer = context.spec.trainer
    with session(
        context.directory,
        resume=context.resume,
        progress=progress,
        device=trainer.device,
        devices=trainer.devices,
        precision=trainer.precision,
        tensorboard=trainer.tensorboard,
    ):
        experiment.run(context)


def _finish(context: Context, record: RunRecord) -> RunRecord:
    import math

    from fivefold.base import codec

    if context.model is not None:
        codec.save(
            context.model,
            context.directory / "model",
            schema_hash=context.schema_hash,
            meta={"id": context.spec.id, "seed": context.spec.seed},
        )
    metrics = {name: float(v) if math.isfinite(v) else None for name, v in context.metrics.items()}
    done = record.changed(
        status="finished",
        ended=now(),
        metrics=metrics,
        timings=context.timings,
        figures=[figure.model_dump() for figure in context.figures],
        data=None if context.data is None else context.data.model_dump(),
        notes=context.notes,
    )
    from .run_report import write_report

    # The report is there before the record says "finished", so that a kill in between is made good by resuming.
    write_report(context, done)
    return done.write()


def _narrator(loud: bool) -> Callable[[str], None]:
    def say(text: str) -> None:
        if loud:
            sys.stderr.write(text + "\n")

    return say


__all__ = ["ArtifactError", "RunInterrupted", "SpecError", "execute", "resume_run", "run"]
