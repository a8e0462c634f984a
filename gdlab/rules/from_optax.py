"""Optax's optimisers as rule factories. https://optax.readthedocs.io/en/latest/api/optimizers.html"""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from gdlab.errors import did_you_mean
from gdlab.rules.hyperparameters import call
from gdlab.rules.leafwise import narrow, widen
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, PyTree, Rule, RuleFactory, State, Updates

# What gdlab's runner offers every rule and no optimiser of optax reads; L-BFGS refuses what it does not know.
_UNREAD = ("grad_fn", "full_grad_fn", "outputs_fn", "criterion_fn", "key", "step")
# What JAX raises where a tracer stands for a shape, a branch, a slice or a mask.
_UNTRACEABLE = (TypeError, IndexError)
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
    The names are those of `names()`: the optimisers that need no other rule to be given. The schedule-free ones are
    judged at their own average of the parameters.

    Source: DeepMind et al., The DeepMind JAX Ecosystem (2020), https://github.com/google-deepmind/optax.

    Raises:
        ValueError: there is no such optimiser; the nearest name is told.
        TypeError: from the rule, where optax makes a branch or a shape of a number that is traced; it is named.

    >>> rule = from_optax("sgd")(lr=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0))
    >>> float(updates)
    -1.0
    """
    known = _optimisers()
    if name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(f"optax has no optimiser {name!r}" + (f" ({hint})" if hint else ""))
    optimiser = known[name]

    def made(values: Mapping[str, Any]) -> Rule:
        with _as_optax_expects():
            return _bridged(optimiser(**values), _ALSO_CALLED.get(name, {}))

    @schedulable
    @functools.wraps(optimiser)
    def bridge(*args: Any, **values: Any) -> Rule:
        return _telling(name, made, dict(inspect.signature(optimiser).bind(*args, **values).arguments))

    @functools.wraps(optimiser)
    def factory(*args: Any, **values: Any) -> Rule:
        return call(bridge, values, *args)

    own = inspect.signature(optimiser)
    renamed = [p.replace(name="lr") if p.name == "learning_rate" else p for p in own.parameters.values()]
    factory.__signature__ = own.replace(parameters=renamed)  # type: ignore[attr-defined]
    return factory


class JudgedState(NamedTuple):
    """The state of a schedule-free optimiser, whose average is worth more than its parameters."""

    inner: optax.contrib.ScheduleFreeState

    def evaluation(self, params: Params) -> Params:
        """Their average."""
        with _as_optax_expects():
            return narrow(optax.contrib.schedule_free_eval_params(self.inner, widen(params)), params)


def _optimisers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    found: dict[str, Callable[..., optax.GradientTransformation]] = {}
    for module in (optax.contrib, optax):  # optax's own last: where both have a name, it is that one
        for name, thing in vars(module).items():
            if name.startswith(("_", "scale_")) or not isinstance(thing, types.FunctionType | functools.partial):
                continue  # nadam is a partial of adam
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
            state = jax.tree.map(_settled, inner.init(widen(params)))
        return JudgedState(state) if isinstance(state, optax.contrib.ScheduleFreeState) else state

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        extra = {name: value for name, value in extra.items() if name not in _UNREAD}
        extra = {theirs: extra[ours] for theirs, ours in also_called.items() if ours in extra} | extra
        if "grad" in extra:
            extra["grad"] = widen(extra["grad"])
        with _as_optax_expects():
            wide = None if params is None else widen(params)
            own = state.inner if isinstance(state, JudgedState) else state
            updates, after = inner.update(widen(grads), own, wide, **extra)
        after = _in_dtypes_of(own, after)
        return narrow(updates, grads), JudgedState(after) if isinstance(state, JudgedState) else after

    return Rule(init, update)


def _telling(name: str, made: Callable[[Mapping[str, Any]], Rule], values: dict[str, Any]) -> Rule:
    """The rule made of the values; where one of them can't be traced, the error says which."""
    if not any(isinstance(value, jax.core.Tracer) for value in values.values()):
        return made(values)

    def told(step: Callable[[Rule], Any]) -> Any:
        try:
            return step(made(values))
        except _UNTRACEABLE as error:
            blamed = _untraceable(lambda values: step(made(values)), values, _optimisers()[name])
            if blamed is None:
                raise
            word = "lr" if blamed == "learning_rate" else blamed
            message = f"optax's {name} can't take {word} as a swept or scheduled number; give it as a fixed value"
            raise TypeError(message) from error

    told(lambda rule: rule)

    def init(params: Params) -> State:
        return told(lambda rule: rule.init(params))

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        return told(lambda rule: rule.update(grads, state, params, **extra))

    return Rule(init, update)


def _untraceable(
    step: Callable[[Mapping[str, Any]], Any], values: Mapping[str, Any], optimiser: Callable[..., Any]
) -> str | None:
    """The first of the traced values by which the step can't be traced; None where it fails for another reason."""
    traced = {name: value for name, value in values.items() if isinstance(value, jax.core.Tracer)}
    defaults = {name: parameter.default for name, parameter in inspect.signature(optimiser).parameters.items()}
    fixed = {name: defaults[name] if isinstance(defaults[name], int | float) else 0.5 for name in traced}

    def fails(tracers: Mapping[str, Any]) -> bool:
        def run(tracers: Mapping[str, Any]) -> None:
            step({**values, **fixed, **tracers})

        try:
            jax.eval_shape(run, tracers)
        except Exception:  # whatever optax finds amiss with a value that stands for the one it was given
            return True
        return False

    if fails({}):
        return None
    return next((n for n, v in traced.items() if fails({n: jax.ShapeDtypeStruct(v.shape, v.dtype)})), None)


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
