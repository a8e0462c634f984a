"""Where a rule wants to be judged, if not at the parameters that it moves: an average of them, say."""

from typing import Any

from gdlab.types import Params, State


def evaluation_point(state: State, params: Params) -> Params:
    """The point at which the outcome of a run is measured: the parameters, unless the rule's state says otherwise.

    A state says so by a method `evaluation(params) -> params`; in a chain of rules the last that has one decides.
    """
    found = _found(state)
    return params if found is None else found.evaluation(params)


def _found(state: Any) -> Any:
    if hasattr(state, "evaluation"):
        return state
    if isinstance(state, tuple):
        return next((found for part in reversed(state) if (found := _found(part)) is not None), None)
    return None
