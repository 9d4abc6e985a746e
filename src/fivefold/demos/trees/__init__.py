"""Demonstrations of trees and ensembles."""
