"""Adaptive hyperparameter search: successive halving, Hyperband, population-based training and Optuna."""

from gdlab.search.halving import halving
from gdlab.search.hyperband import hyperband
from gdlab.search.population import population
from gdlab.search.ranges import Choice, Range, Ranges, SearchError
from gdlab.search.with_optuna import optuna_search

__all__ = ["Choice", "Range", "Ranges", "SearchError", "halving", "hyperband", "optuna_search", "population"]
