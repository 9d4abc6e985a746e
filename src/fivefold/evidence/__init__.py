"""Evidence that every method is right: one folder a package, one file a topic."""

from fivefold.workbench.proof import Check, evidence, fault, largest, smallest, worst_check

__all__ = ["Check", "evidence", "fault", "largest", "smallest", "worst_check"]
