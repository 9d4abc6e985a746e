"""Demonstrations of the neural building blocks."""
