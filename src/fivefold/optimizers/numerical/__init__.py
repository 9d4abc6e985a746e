"""Numerical optimizers: minimize a function of a vector, in the protocol of ``scipy.optimize``."""
