"""Exceptions of fivefold: each is one sentence that says what came, what is accepted and how to mend it.

The command line prints any :class:`FivefoldError` in one line and exits with status 2; everything else is a defect of ours
and keeps its traceback.
"""

from __future__ import annotations


class FivefoldError(Exception):
    """Base of every error that fivefold raises on purpose."""

    def __str__(self) -> str:
        # KeyError would print the repr of its argument; a sentence must stay a sentence.
        return str(self.args[0]) if self.args else self.__class__.__name__


class InputError(FivefoldError, ValueError):
    """A value that is not accepted."""


class InputTypeError(FivefoldError, TypeError):
    """A value of the wrong type."""


class DataError(InputError):
    """A table, file or array that cannot be used as it is."""


class DataUnavailableError(DataError):
    """A data set that is not on this machine and cannot be fetched now."""


class SpecError(InputError):
    """A specification with an unknown key, a wrong value or parts that do not fit each other."""


class UnknownNameError(InputError, KeyError):
    """A name that no card, column or part carries; the message offers the nearest ones."""


class ArtifactError(InputError):
    """A saved model or run that is damaged, foreign or of a newer format."""


class CapabilityError(InputError):
    """Two parts that do not fit: one lacks what the other needs."""


class TrainingError(FivefoldError, RuntimeError):
    """Training cannot go on, for example after a loss that is not finite."""


class StorageError(FivefoldError, OSError):
    """A file that could not be written or read; what was there before is intact."""


class MissingDependencyError(FivefoldError, ImportError):
    """An optional library that is not installed; the message holds the install line."""
