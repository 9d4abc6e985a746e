"""Gradient boosting: one histogram core in Numba and the methods built on it."""
