"""Optax's optimisers as rule factories. https://optax.readthedocs.io/en/latest/api/optimizers.html"""

import contextlib
import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from gdlab.rules.hyperparameters import call
from gdlab.rules.leafwise import narrow, widen
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, PyTree, Rule, RuleFactory, State, Updates

# What gdlab's runner offers every rule and no optimiser of optax reads; L-BFGS refuses what it does not know.
_UNREAD = ("grad_fn", "full_grad_fn", "outputs_fn", "criterion_fn", "key", "step")
# An optimiser's own names for some of the others.
_ALSO_CALLED = {"sophia": {"obj_fn": "value_fn"}}


@functools.cache
def names() -> tuple[str, ...]:
    """The optimisers of `optax` and `optax.contrib` that can be had by name, in alphabetical order."""
    return tuple(sorted(_optimisers()))


@functools.cache
def from_optax(name: str) -> RuleFactory:
    """The factory of an optimiser of `optax` or `optax.contrib`, by its name there.

    It takes the hyperparameters that optax names, numbers among them traced or scheduled like those of any rule;
    `lr` stands for `learning_rate` (both are accepted, the signature has `lr`). The rule is optax's own, run in at
    least float32 and under JAX's default dtype promotion, for which it is written; updates have the gradients' dtype.
    The names are those of `names()`: the optimisers that need no other rule to be given.

    Source: DeepMind et al., The DeepMind JAX Ecosystem (2020), https://github.com/google-deepmind/optax.

    Raises:
        ValueError: there is no such optimiser; the nearest name is told.

    >>> rule = from_optax("sgd")(lr=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0))
    >>> float(updates)
    -1.0
    """
    known = _optimisers()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise ValueError(f"optax has no optimiser {name!r}" + (f" (did you mean {near[0]}?)" if near else ""))
    optimiser = known[name]

    @schedulable
    @functools.wraps(optimiser)
    def bridge(*args: Any, **values: Any) -> Rule:
        with _as_optax_expects():
            return _bridged(optimiser(*args, **values), _ALSO_CALLED.get(name, {}))

    @functools.wraps(optimiser)
    def factory(*args: Any, **values: Any) -> Rule:
        return call(bridge, values, *args)

    own = inspect.signature(optimiser)
    renamed = [p.replace(name="lr") if p.name == "learning_rate" else p for p in own.parameters.values()]
    factory.__signature__ = own.replace(parameters=renamed)  # type: ignore[attr-defined]
    return factory


def _optimisers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    found: dict[str, Callable[..., optax.GradientTransformation]] = {}
    for module in (optax.contrib, optax):  # optax's own last: where both have a name, it is that one
        for name, thing in vars(module).items():
            if name.startswith(("_", "scale_")) or not inspect.isfunction(thing):
                continue
            parameters = inspect.signature(thing).parameters
            if {"learning_rate", "max_learning_rate"} & set(parameters) and "base_optimizer" not in _required(thing):
                found[name] = thing
    return found


def _required(function: Callable[..., Any]) -> set[str]:
    return {p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty}


def _bridged(rule: optax.GradientTransformation, also_called: Mapping[str, str]) -> Rule:
    inner = optax.with_extra_args_support(rule)

    def init(params: Params) -> State:
        with _as_optax_expects():
            return jax.tree.map(_settled, inner.init(widen(params)))

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        extra = {name: value for name, value in extra.items() if name not in _UNREAD}
        extra = {theirs: extra[ours] for theirs, ours in also_called.items() if ours in extra} | extra
        if "grad" in extra:
            extra["grad"] = widen(extra["grad"])
        with _as_optax_expects():
            wide = None if params is None else widen(params)
            updates, after = inner.update(widen(grads), state, wide, **extra)
        return narrow(updates, grads), _in_dtypes_of(state, after)

    return Rule(init, update)


@contextlib.contextmanager
def _as_optax_expects() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _settled(leaf: Any) -> Any:
    """The leaf as an array whose dtype is its own, not one that the next operation decides."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.extended) else jnp.asarray(array, array.dtype)


def _in_dtypes_of(state: PyTree, after: PyTree) -> PyTree:
    return jax.tree.map(lambda old, new: new if old.dtype == new.dtype else new.astype(old.dtype), state, after)
