"""Different rules for different parameters, by where these stand in the tree."""

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
    """The states of the rules, in the order of their patterns; each of its own parameters, None in place of others."""

    patterns: tuple[str, ...]
    inner: tuple[State, ...]

    def evaluation(self, params: Params) -> Params:
        """Each rule's parameters where it wants to be judged."""
        parts = _parted(params, self.patterns)
        own = [evaluation_point(state, part) for state, part in zip(self.inner, parts[:-1], strict=True)]
        return _joined([*own, parts[-1]], params)


def by_path(rules: Mapping[str, optax.GradientTransformation]) -> Rule:
    """A rule for each pattern: a parameter is moved by that of the first pattern that its path fits; by none, it stays.

    A path is the keys from the root to the leaf, with slashes: "layers/0/kernel". In a pattern `*` stands for any
    characters, slashes too, `?` for one, `[ab]` for either: "*/bias", "layers/0/*", and "*" for all the rest.

    Each rule sees its own parameters only: norms and means are over them, a loss is a function of them.

    Source: as optax.partition (https://optax.readthedocs.io/en/latest/api/combining_optimizers.html), by patterns in
    place of labels.

    >>> from gdlab.rules import gd
    >>> rule = by_path({"*bias": gd(lr=1.0), "layers/*": gd(lr=0.5)})
    >>> x = {"layers": {"bias": 2.0, "kernel": 2.0}, "scale": 2.0}
    >>> jax.tree.map(float, rule.update(x, rule.init(x))[0])
    {'layers': {'bias': -2.0, 'kernel': -1.0}, 'scale': 0.0}
    """
    patterns, inner = tuple(rules), [optax.with_extra_args_support(rule) for rule in rules.values()]

    def init(params: Params) -> ByPathState:
        parts = _parted(params, patterns)[:-1]
        return ByPathState(patterns, tuple(rule.init(part) for rule, part in zip(inner, parts, strict=True)))

    def update(
        grads: Grads, state: ByPathState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ByPathState]:
        theirs = _parted(grads, patterns)
        points = [None] * len(theirs) if params is None else _parted(params, patterns)
        updates, states = [], []
        for index, rule in enumerate(inner):
            offered = {name: _seen(name, thing, index, patterns, params) for name, thing in extra.items()}
            moves, after = rule.update(theirs[index], state.inner[index], points[index], **offered)
            updates.append(moves)
            states.append(after)
        still = jax.tree.map(jnp.zeros_like, theirs[-1])
        return _joined([*updates, still], grads), ByPathState(patterns, tuple(states))

    return Rule(init, update)


def _parted(tree: PyTree, patterns: tuple[str, ...]) -> list[PyTree]:
    """The tree for each pattern, and for none of them, each with None in place of the leaves of the others."""

    def place(path: Any, leaf: Any) -> int:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        fitting = (index for index, pattern in enumerate(patterns) if fnmatch.fnmatchcase(name, pattern))
        return next(fitting, len(patterns))

    places = jax.tree_util.tree_map_with_path(place, tree)
    return [
        jax.tree.map(lambda at, leaf, index=index: leaf if at == index else None, places, tree)
        for index in range(len(patterns) + 1)
    ]


def _joined(parts: list[PyTree], like: PyTree) -> PyTree:
    """The tree whose leaves are those of the parts."""
    return jax.tree.map(lambda _, *found: next(leaf for leaf in found if leaf is not None), like, *parts)


def _seen(name: str, thing: Any, index: int, patterns: tuple[str, ...], params: Params | None) -> Any:
    """What the runner offers, as the rule of one pattern sees it."""
    if name == "grad":
        return _parted(thing, patterns)[index]
    if name not in _OF_PARAMS or params is None:
        return thing

    def of_own(own: Params) -> Any:
        parts = _parted(params, patterns)
        whole = thing(_joined([*parts[:index], own, *parts[index + 1 :]], params))
        return _parted(whole, patterns)[index] if name in _GRADIENTS else whole

    return of_own
