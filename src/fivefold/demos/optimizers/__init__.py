"""Demonstrations of optimizers."""
