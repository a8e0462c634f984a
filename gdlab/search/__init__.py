"""Searches that learn from the runs they have made: which hyperparameters to try next, or to go on with."""

from gdlab.search.population import population
from gdlab.search.ranges import Choice, Range, Ranges, SearchError
from gdlab.search.with_optuna import optuna_search

__all__ = ["Choice", "Range", "Ranges", "SearchError", "optuna_search", "population"]
