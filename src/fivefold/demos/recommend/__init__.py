"""Demonstrations of recommenders and models of click logs."""
