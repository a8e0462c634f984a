"""The parameters at which a run is evaluated, if not the parameters that the rule updates (an average, say)."""

from typing import Any

from gdlab.types import Params, State


def evaluation_point(state: State, params: Params) -> Params:
    """The point at which the outcome of a run is measured: `params`, unless the rule's state has an `evaluation`.

    `state.evaluation(params) -> params` is a method of the state. In a chain of rules the last state with one is used.
    """
    owner = _find(state)
    return params if owner is None else owner.evaluation(params)


def _find(state: Any) -> Any:
    if hasattr(state, "evaluation"):
        return state
    if isinstance(state, tuple):
        return next((owner for part in reversed(state) if (owner := _find(part)) is not None), None)
    return None
