"""Different rules for different parameters, selected by their paths in the tree."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gdlab.rules.evaluation import evaluation_point
from gdlab.types import Grads, Params, PyTree, Rule, State, Updates

_OF_PARAMS = ("value_fn", "grad_fn", "full_grad_fn", "outputs_fn")
_GRADIENTS = ("grad_fn", "full_grad_fn")


@partial(jax.tree_util.register_dataclass, data_fields=["inner"], meta_fields=["patterns"])
@dataclass(frozen=True)
class ByPathState:
    """The states of the rules, in the order of their patterns; each has None in place of other parameters."""

    patterns: tuple[str, ...]
    inner: tuple[State, ...]

    def evaluation(self, params: Params) -> Params:
        """The parameters, each at the evaluation point of its rule."""
        parts = _split(params, self.patterns)
        own = [evaluation_point(state, part) for state, part in zip(self.inner, parts[:-1], strict=True)]
        return _merge([*own, parts[-1]], params)


def by_path(rules: Mapping[str, optax.GradientTransformation]) -> Rule:
    """A rule for each pattern: each parameter is updated by the rule of the first pattern that matches its path.

    A path is the keys from the root to the leaf, joined by slashes: "layers/0/kernel". In a pattern `*` matches any
    characters, including slashes, `?` matches one character, and `[ab]` matches a or b. Examples: "*/bias",
    "layers/0/*", and "*" for all others. A parameter that no pattern matches has updates of 0.

    Each rule is given only the parameters that it updates: its norms and means are over these, and extra arguments such
    as `grad_fn` are functions of these.

    Source: optax.partition (https://optax.readthedocs.io/en/latest/api/combining_optimizers.html), with patterns
    instead of labels.

    >>> from gdlab.rules import gd
    >>> rule = by_path({"*bias": gd(lr=1.0), "layers/*": gd(lr=0.5)})
    >>> x = {"layers": {"bias": 2.0, "kernel": 2.0}, "scale": 2.0}
    >>> jax.tree.map(float, rule.update(x, rule.init(x))[0])
    {'layers': {'bias': -2.0, 'kernel': -1.0}, 'scale': 0.0}
    """
    patterns, inner = tuple(rules), [optax.with_extra_args_support(rule) for rule in rules.values()]

    def init(params: Params) -> ByPathState:
        parts = _split(params, patterns)[:-1]
        return ByPathState(patterns, tuple(rule.init(part) for rule, part in zip(inner, parts, strict=True)))

    def update(
        grads: Grads, state: ByPathState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ByPathState]:
        grad_parts = _split(grads, patterns)
        param_parts = [None] * len(grad_parts) if params is None else _split(params, patterns)
        updates, states = [], []
        for index, rule in enumerate(inner):
            own_extra = {name: _restrict(name, value, index, patterns, params) for name, value in extra.items()}
            part, after = rule.update(grad_parts[index], state.inner[index], param_parts[index], **own_extra)
            updates.append(part)
            states.append(after)
        unmatched = jax.tree.map(jnp.zeros_like, grad_parts[-1])
        return _merge([*updates, unmatched], grads), ByPathState(patterns, tuple(states))

    return Rule(init, update)


def _split(tree: PyTree, patterns: tuple[str, ...]) -> list[PyTree]:
    """One tree per pattern, then one of the unmatched leaves; each has None in place of the leaves of the others."""

    def first_match(path: Any, leaf: Any) -> int:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return next((i for i, pattern in enumerate(patterns) if fnmatch.fnmatchcase(name, pattern)), len(patterns))

    matches = jax.tree_util.tree_map_with_path(first_match, tree)
    return [
        jax.tree.map(lambda match, leaf, index=index: leaf if match == index else None, matches, tree)
        for index in range(len(patterns) + 1)
    ]


def _merge(parts: list[PyTree], like: PyTree) -> PyTree:
    """The leaves of all parts in one tree with the structure of `like`."""
    return jax.tree.map(lambda _, *leaves: next(leaf for leaf in leaves if leaf is not None), like, *parts)


def _restrict(name: str, value: Any, index: int, patterns: tuple[str, ...], params: Params | None) -> Any:
    """An extra argument for the rule of one pattern; functions are restricted to the parameters of that rule."""
    if name == "grad":
        return _split(value, patterns)[index]
    if name not in _OF_PARAMS or params is None:
        return value

    def restricted(own: Params) -> Any:
        parts = _split(params, patterns)
        result = value(_merge([*parts[:index], own, *parts[index + 1 :]], params))
        return _split(result, patterns)[index] if name in _GRADIENTS else result

    return restricted
