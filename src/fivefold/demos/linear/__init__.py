"""Demonstrations about linear models."""
