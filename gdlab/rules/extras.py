"""The check that a rule's `update` is given the parameters and the extra arguments it needs."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from gdlab.types import State, Updates

Update = Callable[..., tuple[Updates, State]]

_MEANING = {
    "value": "the loss at params",
    "value_fn": "params -> loss, on the step's batch",
    "grad_fn": "params -> gradient, on the step's batch",
    "full_grad_fn": "params -> gradient on all examples (a problem with `sample` has none)",
    "outputs_fn": "params -> outputs of the model (of a problem with `outputs`)",
    "criterion_fn": "outputs -> loss (of a problem with `criterion`)",
    "key": "a JAX random key, another one at each step",
    "step": "the step number, from 0",
}


def requires_extras(kind: str) -> Callable[[Update], Update]:
    """Decorate the `update(grads, state, params, *, value, ..., **extra)` of the rule `kind`.

    The required arguments are `params` and the keyword-only arguments, where the signature gives them no default. The
    decorated function can be called without them, as optax allows, and then raises a ValueError that names each missing
    one and says how to pass it. An argument of None counts as missing.
    """

    def decorate(update: Update) -> Update:
        parameters = list(inspect.signature(update).parameters.values())[2:]
        required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]

        @functools.wraps(update)
        def checked(grads: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Updates, State]:
            given = {"params": params, **extra}
            missing = [name for name in required if given.get(name) is None]
            if missing:
                raise ValueError(_message(kind, missing, required))
            return update(grads, state, params, **extra)

        return checked

    return decorate


def _message(kind: str, missing: list[str], required: list[str]) -> str:
    extras = [name for name in required if name != "params"]
    call = ", ".join(["grads", "state", "params", *(f"{name}=..." for name in extras)])
    message = f"{kind} needs {' and '.join(missing)}: call update({call})"
    if missing == ["params"]:
        return message
    meanings = "; ".join(f"{name}: {_MEANING[name]}" for name in missing if name in _MEANING)
    return (
        f"{message}. {meanings}. gdlab.descend and gdlab.sweep pass those that the problem has. Flax's "
        "TrainState.apply_gradients passes none: there call `tx.update` with them, then `optax.apply_updates`"
    )
