"""The cases of the rule tests: every registered rule of gdlab, with every combination of its options."""

import itertools
import typing
from typing import Any, Literal, NamedTuple, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdlab.rules  # noqa: F401  (fills the register)
from gdlab import register
from tests.rules.rule_problem import SHAPE, extras


class Case(NamedTuple):
    """A rule whose options are set; the remaining hyperparameters are numbers."""

    entry: register.Entry
    options: dict[str, Any]

    def __call__(self, **numbers):
        return self.entry.make(**numbers, **self.options)

    @property
    def numbers(self):
        """The names of the numeric hyperparameters."""
        return [n for n, p in self.entry.parameters.items() if _is_number(p.default)]

    @property
    def defaults(self):
        return {name: self.entry.parameters[name].default for name in self.numbers}

    def at(self, part):
        """A value for each number: this fraction of the way through its registered range, rounded for integers."""
        found = {n: lo + part * (hi - lo) for n, (lo, hi) in self.entry.info["ranges"].items()}
        return {n: round(value) if isinstance(self.defaults[n], int) else value for n, value in found.items()}

    @property
    def needs(self):
        """The extra arguments that its update needs."""
        return set(self.entry.info.get("needs", ())) - {"params"}

    @property
    def scope(self):
        """What the update of a coordinate depends on: the "coordinate", its "leaf" or the whole "tree"."""
        return self.entry.info.get("scope", "coordinate")


def _is_number(default):
    return isinstance(default, int | float) and not isinstance(default, bool)


def _settings(make, parameter):
    """The values of an option: those of a bool or a Literal; none for other parameters."""
    if isinstance(parameter.default, bool):
        return (False, True)
    annotation = typing.get_type_hints(make).get(parameter.name)
    return get_args(annotation) if get_origin(annotation) is Literal else ()


ENTRIES = [entry for entry in register.rules.values() if entry.make.__module__.startswith("gdlab.rules.")]


def _cases():
    for entry in ENTRIES:
        known = {name: _settings(entry.make, p) for name, p in entry.parameters.items()}
        options = {name: values for name, values in known.items() if values}
        for values in itertools.product(*options.values()):
            on = [f"{n}" if v is True else f"{v}" for n, v in zip(options, values, strict=True) if v is not False]
            case = Case(entry, dict(zip(options, values, strict=True)))
            yield pytest.param(case, id="-".join([entry.kind, *on]))


CASES = list(_cases())
every_rule = pytest.mark.parametrize("case", CASES)
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind)


def some_rules(wanted):
    """Parametrise over the cases for which `wanted(case)` holds."""
    return pytest.mark.parametrize("case", [param for param in CASES if wanted(param.values[0])])


def trajectory(rule, params, *, steps=None, grads=None):
    """The updates [T, ...] of a rule and its last state, on given gradients [T, ...] or on those of `rule_problem`.

    Only with the gradients of `rule_problem` does the rule receive extra arguments.
    """
    count = len(grads) if grads is not None else steps

    def step(carry, t):
        x, state = carry
        offered = extras(x, t) if grads is None else {}
        g = offered["grad"] if grads is None else grads[t]
        updates, state = rule.update(g, state, x, **offered)
        return (jax.tree.map(lambda a, u: a + u, x, updates), state), updates

    (_, state), updates = jax.lax.scan(step, (params, rule.init(params)), jnp.arange(count, dtype=jnp.int32))
    return updates, state


def gradients(steps=5, seed=0):
    """Gradients [steps, 2, 3] of mixed sizes and signs, and an initial point [2, 3]."""
    draw = np.random.default_rng(seed)
    g = draw.normal(size=(steps, 6)) * 10.0 ** np.arange(-3, 3)
    return g.reshape(steps, *SHAPE), draw.normal(size=SHAPE)
