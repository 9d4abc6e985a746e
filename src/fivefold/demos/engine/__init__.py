"""Demonstrations of the engine: reductions over workers, automatic differentiation, the reference program."""
