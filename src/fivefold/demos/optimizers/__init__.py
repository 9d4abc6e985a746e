"""Demonstrations about optimization."""
