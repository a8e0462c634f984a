"""The factories of rules that wrap another rule."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.errors import did_you_mean
from gdlab.rules.from_optax import from_optax
from gdlab.rules.hyperparameters import call, signature
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, RuleFactory, State, Updates

OPTAX = "optax:"

# The rule to wrap: the kind of a registered rule, `optax:NAME`, a factory, or a rule that is already built.
Inner: TypeAlias = str | Callable[..., optax.GradientTransformation] | optax.GradientTransformation


class _InnerDefault(float):
    """The default `lr` of a wrapper, which means the inner rule's default. Its value is the default of `gd`."""


LR = _InnerDefault(0.1)


def wrapper(factory: Callable[..., Rule]) -> Callable[..., Rule]:
    """Decorate a factory `f(of, lr, wrapper's hyperparameters, **inner rule's hyperparameters)`.

    Each hyperparameter may be a schedule, which is evaluated at the step number of the wrapper. `f.around(of)` is the
    factory for one inner rule; its signature has the hyperparameters of both.
    """
    make = schedulable(factory)
    make.around = functools.partial(around, make)  # type: ignore[attr-defined]
    return make


def around(factory: Callable[..., Rule], of: Inner) -> Callable[..., Rule]:
    """The factory of a wrapper for one inner rule; its signature has the hyperparameters of both.

    A name in both signatures is a hyperparameter of the wrapper; the exception is `lr`, which belongs to the inner
    rule.

    Raises:
        ValueError: there is no such rule; the message suggests the nearest name.
    """
    inner = rule_factory(of)

    @functools.wraps(factory, updated=())  # without `around`, since the inner rule is fixed
    def make(**values: Any) -> Rule:
        return factory(of=inner, **values)

    own = {p.name: p for p in signature(factory).parameters.values() if p.kind is not p.VAR_KEYWORD}
    own.pop("of"), own.pop("lr", None)
    its = [p for p in signature(inner).parameters.values() if p.name not in own and p.kind is not p.VAR_POSITIONAL]
    rest = [p for p in its if p.kind is p.VAR_KEYWORD]
    named = [p.replace(kind=p.KEYWORD_ONLY) for p in [*own.values(), *its] if p not in rest]
    make.__signature__ = inspect.Signature([*named, *rest])  # type: ignore[attr-defined]
    return make


def rule_factory(of: Inner) -> RuleFactory:
    """The factory of the rule `of`; for a rule that is already built, a factory without hyperparameters.

    Raises:
        ValueError: there is no such rule; the message suggests the nearest name.
    """
    if isinstance(of, optax.GradientTransformation):
        return lambda: of
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
    """The inner rule with the hyperparameters `others`, and with `lr` unless it is the wrapper's default.

    Raises:
        TypeError: the inner rule does not have one of these hyperparameters, or it is already built.
        ValueError: there is no such rule; the message suggests the nearest name.
    """
    values = {**({} if isinstance(lr, _InnerDefault) else {"lr": lr}), **others}
    if values and isinstance(of, optax.GradientTransformation):
        raise TypeError(
            f"`of` is a rule that is already built, so {' and '.join(values)} can't be set on it: pass its factory "
            "(of=adam, not of=adam(...)), or set its hyperparameters where it is built"
        )
    return optax.with_extra_args_support(call(rule_factory(of), values))


def on_gradients(inner: Rule, change: Callable[[Grads], Grads]) -> Rule:
    """The inner rule with the gradients `change(grads)`, where `grads` has at least float32."""

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        updates, after = inner.update(change(widen(grads)), state, params, **extra)
        return narrow(updates, grads), after

    return with_preconditioner(Rule(inner.init, update), lambda state: preconditioner(inner, state))


def number(**named: Any) -> Array:
    """A hyperparameter, given as the only keyword argument, as a scalar of JAX's default float.

    Raises:
        ValueError: it is an array of several numbers.
    """
    ((name, value),) = named.items()
    return each(lambda _, **numbers: numbers[name], jnp.zeros([], jnp.result_type(float)), **{name: value})
