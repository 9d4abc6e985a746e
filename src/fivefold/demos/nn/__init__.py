"""Demonstrations of neural networks and their parts."""
