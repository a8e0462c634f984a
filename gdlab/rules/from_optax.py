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
from gdlab.rules.hyperparameters import call, short_name
from gdlab.rules.leafwise import narrow, widen
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, PyTree, Rule, RuleFactory, State, Updates

# Extra arguments of gdlab that no optax optimiser reads; optax's L-BFGS raises for arguments it doesn't know.
_UNREAD = ("grad_fn", "full_grad_fn", "outputs_fn", "criterion_fn", "key", "step")
# The types of the errors that JAX raises for a tracer in a shape, a branch, a slice or a mask.
_UNTRACEABLE = (TypeError, IndexError)
# Extra arguments that have another name in optax, by optimiser: {optax's name: gdlab's name}.
_RENAMED = {"sophia": {"obj_fn": "value_fn"}}


@functools.cache
def names() -> tuple[str, ...]:
    """The names of the optimisers of `optax` and `optax.contrib` that `from_optax` accepts, in alphabetical order."""
    return tuple(sorted(_optimisers()))


@functools.cache
def from_optax(name: str) -> RuleFactory:
    """The factory of an optimiser of `optax` or `optax.contrib`, given by its name in optax.

    It takes optax's hyperparameters, and `lr` for `learning_rate` (both are accepted; the signature has `lr`). Numbers
    can be traced or scheduled. The rule is computed by optax, in at least float32 and with JAX's standard dtype
    promotion; updates have the dtype of the gradients. `names()` lists the optimisers; it leaves out those that wrap
    another rule. A schedule-free optimiser is evaluated at its average of the parameters.

    Source: DeepMind et al., The DeepMind JAX Ecosystem (2020), https://github.com/google-deepmind/optax.

    Raises:
        ValueError: there is no such optimiser; the message suggests the nearest name.
        TypeError: from the rule, if optax uses a traced number for a branch or a shape; the message names the number.

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

    def make(values: Mapping[str, Any]) -> Rule:
        with _optax_promotion():
            return _adapted(optimiser(**values), _RENAMED.get(name, {}))

    @schedulable
    @functools.wraps(optimiser)
    def bridge(*args: Any, **values: Any) -> Rule:
        return _naming_untraceable(name, make, dict(inspect.signature(optimiser).bind(*args, **values).arguments))

    @functools.wraps(optimiser)
    def factory(*args: Any, **values: Any) -> Rule:
        return call(bridge, values, *args)

    own = inspect.signature(optimiser)
    renamed = [p.replace(name=short_name(p.name)) for p in own.parameters.values()]
    factory.__signature__ = own.replace(parameters=renamed)  # type: ignore[attr-defined]
    return factory


class OptaxScheduleFreeState(NamedTuple):
    """The state of a schedule-free optimiser of optax, with its evaluation parameters."""

    inner: optax.contrib.ScheduleFreeState

    def evaluation(self, params: Params) -> Params:
        """The average of the parameters."""
        with _optax_promotion():
            return narrow(optax.contrib.schedule_free_eval_params(self.inner, widen(params)), params)


def _optimisers() -> dict[str, Callable[..., optax.GradientTransformation]]:
    found: dict[str, Callable[..., optax.GradientTransformation]] = {}
    for module in (optax.contrib, optax):  # optax last, so that it takes precedence for names in both
        for name, thing in vars(module).items():
            if name.startswith(("_", "scale_")) or not isinstance(thing, types.FunctionType | functools.partial):
                continue  # nadam is a partial of adam
            parameters = inspect.signature(thing).parameters
            if {"learning_rate", "max_learning_rate"} & set(parameters) and "base_optimizer" not in _required(thing):
                found[name] = thing
    return found


def _required(function: Callable[..., Any]) -> set[str]:
    return {p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty}


def _adapted(rule: optax.GradientTransformation, renamed: Mapping[str, str]) -> Rule:
    """The rule in at least float32, with gdlab's extra arguments under optax's names."""
    inner = optax.with_extra_args_support(rule)

    def init(params: Params) -> State:
        with _optax_promotion():
            state = jax.tree.map(_strongly_typed, inner.init(widen(params)))
        return OptaxScheduleFreeState(state) if isinstance(state, optax.contrib.ScheduleFreeState) else state

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        extra = {name: value for name, value in extra.items() if name not in _UNREAD}
        extra = {theirs: extra[ours] for theirs, ours in renamed.items() if ours in extra} | extra
        if "grad" in extra:
            extra["grad"] = widen(extra["grad"])
        schedule_free = isinstance(state, OptaxScheduleFreeState)
        with _optax_promotion():
            wide = None if params is None else widen(params)
            own = state.inner if schedule_free else state
            updates, after = inner.update(widen(grads), own, wide, **extra)
        after = _in_dtypes_of(own, after)
        return narrow(updates, grads), OptaxScheduleFreeState(after) if schedule_free else after

    return Rule(init, update)


def _naming_untraceable(name: str, make: Callable[[Mapping[str, Any]], Rule], values: dict[str, Any]) -> Rule:
    """The rule `make(values)`; if a value can't be traced, the error of the rule names this value."""
    if not any(isinstance(value, jax.core.Tracer) for value in values.values()):
        return make(values)

    def checked(call: Callable[[Rule], Any]) -> Any:
        try:
            return call(make(values))
        except _UNTRACEABLE as error:
            culprit = _untraceable(lambda values: call(make(values)), values, _optimisers()[name])
            if culprit is None:
                raise
            which = f"optax's {name} can't take {short_name(culprit)} as a swept or scheduled number"
            raise TypeError(f"{which}; give it as a fixed value") from error

    checked(lambda rule: rule)

    def init(params: Params) -> State:
        return checked(lambda rule: rule.init(params))

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        return checked(lambda rule: rule.update(grads, state, params, **extra))

    return Rule(init, update)


def _untraceable(
    step: Callable[[Mapping[str, Any]], Any], values: Mapping[str, Any], optimiser: Callable[..., Any]
) -> str | None:
    """The first traced value that makes the step fail; None if the step fails for another reason."""
    traced = {name: value for name, value in values.items() if isinstance(value, jax.core.Tracer)}
    defaults = {name: parameter.default for name, parameter in inspect.signature(optimiser).parameters.items()}
    fixed = {name: defaults[name] if isinstance(defaults[name], int | float) else 0.5 for name in traced}

    def fails(tracers: Mapping[str, Any]) -> bool:
        def run(tracers: Mapping[str, Any]) -> None:
            step({**values, **fixed, **tracers})

        try:
            jax.eval_shape(run, tracers)
        except Exception:  # optax may raise anything for the replaced values
            return True
        return False

    if fails({}):
        return None
    return next((n for n, v in traced.items() if fails({n: jax.ShapeDtypeStruct(v.shape, v.dtype)})), None)


@contextlib.contextmanager
def _optax_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _strongly_typed(leaf: Any) -> Any:
    """The leaf as an array that is not weakly typed, so that its dtype stays the same in a loop."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.extended) else jnp.asarray(array, array.dtype)


def _in_dtypes_of(state: PyTree, after: PyTree) -> PyTree:
    return jax.tree.map(lambda old, new: new if old.dtype == new.dtype else new.astype(old.dtype), state, after)
