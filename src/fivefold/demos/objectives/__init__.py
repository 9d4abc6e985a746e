"""Demonstrations of objectives."""
