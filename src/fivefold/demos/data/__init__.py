"""Demonstrations of data operations."""
