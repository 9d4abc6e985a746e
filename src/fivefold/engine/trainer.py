"""The trainer: train, evaluate and predict with any learner, from one set of settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fivefold.base.errors import CapabilityError, InputTypeError, SpecError
from fivefold.base.random import Streams

from .callbacks import Callback
from .checkpoint_callback import ModelCheckpoint
from .checkpoints import CheckpointStore
from .distribution import World, broadcast, gather, join
from .evaluating import evaluate, evaluation_mode
from .fit import Fit
from .history import History
from .learner import Learner
from .parts import build_parts
from .runtime import Runtime
from .session import Session, current_session


def _positive(name: str, value: Any, *, optional: bool = True) -> None:
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError(f"Trainer: {name} must be a whole number of at least 1, got {value!r}.")


class Trainer:
    r"""Plays the parts of a learner: one loop trains a classifier, a GAN or an agent.

    For every batch the learner's ``steps`` is run; after each ``yield Step(part, loss)`` the engine does
    backward → all-reduce → clip → optimizer step → schedule → moving average for that part alone, then resumes ``steps``.

    Parameters
    ----------
    max_epochs : int >= 1, optional
        Passes over the data.
    max_batches : int >= 1, optional
        Batches in all. At least one limit is needed; the first that is reached ends the fit.
    max_environment_steps : int >= 1, optional
        For agents: steps of the environment in all, counted from the field ``environment_steps`` of the batches.
    parts : mapping part -> PartSpec or mapping of its fields, optional
        How each part is optimized; what is not given comes from the learner's ``defaults``.
    accumulate : int >= 1, default 1
        Batches whose gradients are averaged into one step.
    seed : int, default 0
        Of everything random in the steps (dropout); the order of rows follows the seed of the batches.
    callbacks : sequence of :class:`~fivefold.engine.callbacks.Callback`
    log_every : int >= 1, default 50
        Batches between two log records; losses stay on the device in between.
    validate_every : int >= 1, default 1
        Epochs between two passes over the validation batches.
    device : str, optional
        "cpu", "cuda", "cuda:1" or "auto"; by default the session's, else "cpu".
    precision : str, optional
        "32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true" or "16-true"; by default the session's, else "32-true".

    Raises
    ------
    SpecError
        When a setting is out of range or no limit is given.

    Notes
    -----
    Inside a :func:`~fivefold.engine.session.session` checkpoints, logs and a progress bar are added; outside one nothing is
    written and nothing is printed.

    References
    ----------
    02#estimator-training-harness, 04#tf-estimator-solution, 06#gan-alternating-optimisation.
    """

    def __init__(
        self,
        max_epochs: int | None = None,
        max_batches: int | None = None,
        *,
        max_environment_steps: int | None = None,
        parts: Mapping[str, Any] | None = None,
        accumulate: int = 1,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        log_every: int = 50,
        validate_every: int = 1,
        device: str | None = None,
        precision: Any = None,
    ) -> None:
        for name, value in (
            ("max_epochs", max_epochs),
            ("max_batches", max_batches),
            ("max_environment_steps", max_environment_steps),
        ):
            _positive(name, value)
        for name, value in (("accumulate", accumulate), ("log_every", log_every), ("validate_every", validate_every)):
            _positive(name, value, optional=False)
        self.max_epochs = max_epochs
        self.max_batches = max_batches
        self.max_environment_steps = max_environment_steps
        self.parts = dict(parts or {})
        self.accumulate = accumulate
        self.seed = int(seed)
        self.callbacks = list(callbacks)
        self.log_every = log_every
        self.validate_every = validate_every
        self.device = device
        self.precision = precision

    def _runtime(self, around: Session | None) -> Runtime:
        device = self.device or (around.device if around is not None else "cpu")
        precision = self.precision or (around.precision if around is not None else "32-true")
        return Runtime(device, precision)

    def _lengths(self, learner: Learner, batches: Any) -> dict[str, int | None]:
        """Return how far each counter will go, where that is certain."""
        per_epoch = len(batches) if hasattr(batches, "__len__") else None
        limits = [self.max_batches] if self.max_batches is not None else []
        if self.max_epochs is not None and per_epoch is not None:
            limits.append(self.max_epochs * per_epoch)
        total = min(limits) if limits else None
        steps: int | None = None
        # A part that yields at most once a batch steps once a window; elsewhere only the learner knows.
        if total is not None and learner.accumulates:
            if self.accumulate == 1:
                steps = total
            elif per_epoch is not None:
                whole, rest = divmod(total, per_epoch)
                steps = whole * -(-per_epoch // self.accumulate) + -(-rest // self.accumulate)
        lengths: dict[str, int | None] = {
            "batches": total,
            "epochs": self.max_epochs,
            "environment_steps": self.max_environment_steps,
        }
        return {**dict.fromkeys(learner.parts(), steps), **lengths}

    def fit(
        self,
        learner: Learner,
        batches: Any,
        validation: Any = None,
        *,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train a learner in place.

        Parameters
        ----------
        learner : Learner
        batches : object with ``epoch(epoch, start, rank, world) -> iterator of Batch``
            Such as :class:`fivefold.data.batches.Batches`.
        validation : the same, optional
            Evaluated after epochs; its means appear as ``val_*``.
        resume : path of a checkpoint, optional
            Go on from there. In a session with ``resume=True`` the last checkpoint is found by itself.

        Returns
        -------
        History

        Raises
        ------
        SpecError, CapabilityError
            Before any work, when the settings do not fit the learner.
        TrainingError
            When a loss is not finite or ``steps`` breaks its contract.
        """
        if not isinstance(learner, Learner):
            raise InputTypeError(
                f"Trainer.fit trains a Learner, got a {type(learner).__name__}; "
                "wrap a module as SupervisedLearner(module, objective)."
            )
        if not hasattr(batches, "epoch"):
            raise InputTypeError(
                f"Trainer.fit reads batches through `epoch`, which a {type(batches).__name__} lacks; "
                "give Batches({'x': X, 'y': y}, batch_size=...)."
            )
        if self.max_epochs is None and self.max_batches is None and self.max_environment_steps is None:
            raise SpecError(
                "The trainer has no limit: give max_epochs, max_batches or max_environment_steps, or it would never end."
            )
        around = current_session()
        runtime = self._runtime(around)
        world = join(runtime.device.type, around.devices if around is not None else 1)
        runtime.prepare(learner)
        broadcast(learner, world)
        parts = build_parts(learner, self.parts, world, self._lengths(learner, batches), runtime.new_scaler)
        for part in parts.values():
            if part.needs_closure and (part.scaler is not None or self.accumulate > 1):
                what = "a loss scaler (16-mixed)" if part.scaler is not None else "accumulate > 1"
                raise CapabilityError(
                    f"The optimizer of part {part.name!r}, {type(part.optimizer).__name__}, evaluates the loss several "
                    f"times a step, which cannot be combined with {what}."
                )
        callbacks, store = self._equip(around)
        fit = Fit(
            learner,
            parts,
            batches,
            validation,
            runtime=runtime,
            world=world,
            callbacks=callbacks,
            store=store,
            seed=self.seed,
            max_epochs=self.max_epochs,
            max_batches=self.max_batches,
            max_environment_steps=self.max_environment_steps,
            accumulate=self.accumulate,
            log_every=self.log_every,
            validate_every=self.validate_every,
        )
        source = self._resume_path(around, store, world, resume)
        if source is not None:
            fit.load(source)
        return fit.run()

    def _equip(self, around: Session | None) -> tuple[list[Callback], CheckpointStore | None]:
        """Return all callbacks in the order in which they are called, and where checkpoints go."""
        callbacks: list[Callback] = [*self.callbacks, *(around.callbacks if around is not None else ())]
        directory, suffix = around.stage() if around is not None else (None, "")
        saver = next((c for c in callbacks if isinstance(c, ModelCheckpoint)), None)
        if around is not None:
            if directory is not None:
                from .loggers import JSONLLogger, TensorBoardLogger

                callbacks.append(JSONLLogger(directory / f"metrics{suffix}.jsonl"))
                if around.tensorboard:
                    callbacks.append(TensorBoardLogger(directory / f"tensorboard{suffix}"))
                if saver is None:
                    saver = ModelCheckpoint()
                    callbacks.append(saver)
            if around.progress:
                from .progress import ProgressBar

                callbacks.append(ProgressBar())
        store = None
        if saver is not None:
            where = saver.directory or (directory / f"checkpoints{suffix}" if directory is not None else None)
            if where is None:
                raise SpecError(
                    "ModelCheckpoint has nowhere to write: give it a directory, or train inside "
                    "`with session(directory=...)`."
                )
            store = CheckpointStore(where, saver.keep)
            # Last of all, so that a checkpoint holds what the other callbacks made of the epoch.
            callbacks = [c for c in callbacks if c is not saver] + [saver]
        return callbacks, store

    def _resume_path(
        self, around: Session | None, store: CheckpointStore | None, world: World, resume: Any
    ) -> Path | None:
        if store is not None:
            if world.first:
                store.sweep()
            gather(None, world)  # nobody reads before the first process has tidied up
        if resume is not None:
            return Path(resume)
        if around is not None and around.resume and store is not None and store.exists():
            return store.last
        return None

    def evaluate(self, learner: Learner, batches: Any) -> dict[str, float]:
        """Return the means of ``learner.evaluate`` over all batches, in evaluation mode."""
        around = current_session()
        runtime = self._runtime(around)
        runtime.prepare(learner)
        return evaluate(learner, batches, runtime, World(), Streams(self.seed))

    def predict(self, learner: Learner, batches: Any) -> Tensor:
        """Return ``learner.predict`` over all batches, concatenated in the order of the batches, on the CPU."""
        if getattr(batches, "shuffle", False):
            raise SpecError("Predictions would come in a shuffled order; give batches with shuffle=False.")
        runtime = self._runtime(current_session())
        runtime.prepare(learner)
        found = []
        with torch.no_grad(), evaluation_mode(learner):
            for batch in batches.epoch(0):
                moved = batch.to(runtime.device, runtime.dtype) if runtime.moves else batch
                with runtime.context():
                    found.append(learner.predict(moved).cpu())
        return torch.cat(found)
