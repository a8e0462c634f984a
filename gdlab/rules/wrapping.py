"""What the rules around another rule share: how the other is named, and whose a hyperparameter is."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.errors import did_you_mean
from gdlab.rules.from_optax import from_optax
from gdlab.rules.hyperparameters import call, signature
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.preconditioner import divides, preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, RuleFactory, State, Updates

OPTAX = "optax:"

# A rule to wrap: the kind under which it is registered, `optax:NAME`, or its factory.
Inner = str | Callable[..., optax.GradientTransformation]


class _Default(float):
    """A number that stands for what the inner rule has by default; the number itself is gradient descent's."""


LR = _Default(0.1)


def wrapper(factory: Callable[..., Rule]) -> Callable[..., Rule]:
    """A factory `f(of, lr, own hyperparameters, **those of the inner rule)`, any of which may be a schedule.

    A schedule's steps are those of the wrapper. `f.around(of)` is the factory for one inner rule, which has all their
    hyperparameters in its signature.
    """
    make = schedulable(factory)
    make.around = functools.partial(around, make)  # type: ignore[attr-defined]
    return make


def around(factory: Callable[..., Rule], of: Inner) -> Callable[..., Rule]:
    """A wrapper's factory for one inner rule: its signature is the wrapper's own hyperparameters and the inner rule's.

    A name that both have is the wrapper's.

    Raises:
        ValueError: there is no such rule; the nearest name is told.
    """
    inner = rule_factory(of)

    @functools.wraps(factory)
    def make(**values: Any) -> Rule:
        return factory(of=inner, **values)

    own = {p.name: p for p in signature(factory).parameters.values() if p.kind is not p.VAR_KEYWORD}
    own.pop("of"), own.pop("lr", None)  # the one is settled, the other the inner rule's
    its = [p for p in signature(inner).parameters.values() if p.name not in own and p.kind is not p.VAR_POSITIONAL]
    rest = [p for p in its if p.kind is p.VAR_KEYWORD]
    named = [p.replace(kind=p.KEYWORD_ONLY) for p in [*own.values(), *its] if p not in rest]
    make.__signature__ = inspect.Signature([*named, *rest])  # type: ignore[attr-defined]
    return make


def rule_factory(of: Inner) -> RuleFactory:
    """The factory that `of` names, or is.

    Raises:
        ValueError: there is no such rule; the nearest name is told.
    """
    if isinstance(of, functools.partial) and hasattr(of.func, "around") and "of" in of.keywords:
        bound = {name: value for name, value in of.keywords.items() if name != "of"}
        return functools.partial(of.func.around(of.keywords["of"]), *of.args, **bound)
    if callable(of):
        return of
    if of.startswith(OPTAX):
        return from_optax(of.removeprefix(OPTAX))
    if of in register.rules:
        return register.rules[of].make
    hint = did_you_mean(of, register.rules)
    raise ValueError(f"there is no rule {of!r}" + (f" ({hint})" if hint else ""))


def inner_rule(of: Inner, lr: Hyperparameter, others: Mapping[str, Any]) -> Rule:
    """The rule inside, made with a wrapper's `lr`, unless left to the inner rule, and all that is not its own."""
    rate = {} if isinstance(lr, _Default) else {"lr": lr}
    return optax.with_extra_args_support(call(rule_factory(of), {**rate, **others}))


def on_gradients(inner: Rule, change: Callable[[Grads, Params | None], Grads]) -> Rule:
    """The rule that gets changed gradients: `change(grads, params)`, the gradients in at least float32."""

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        updates, after = inner.update(change(widen(grads), params), state, params, **extra)
        return narrow(updates, grads), after

    return divides(Rule(inner.init, update), lambda state: preconditioner(inner, state))


def number(**named: Any) -> Array:
    """The one number given by name, in JAX's default float, if it is one (see `leafwise.each`)."""
    ((name, value),) = named.items()
    return each(lambda _, **numbers: numbers[name], jnp.zeros([], jnp.result_type(float)), **{name: value})
