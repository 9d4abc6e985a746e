"""Demonstrations of evaluation: curves, fit, selection."""
