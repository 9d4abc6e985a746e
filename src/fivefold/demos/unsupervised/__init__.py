"""Demonstrations of unsupervised learning."""
