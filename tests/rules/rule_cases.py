"""What the suites run: every registered rule of the lab, with every setting of its switches."""

import itertools
from typing import NamedTuple

import jax
import numpy as np
import pytest

import gdlab.rules  # noqa: F401  (fills the register)
from gdlab import register


class Case(NamedTuple):
    """A rule with its switches set; what is left are numbers."""

    entry: register.Entry
    switches: dict

    def __call__(self, **numbers):
        return self.entry.make(**numbers, **self.switches)

    @property
    def numbers(self):
        """The names of its numbers."""
        return [n for n, p in self.entry.parameters.items() if not isinstance(p.default, bool)]

    @property
    def defaults(self):
        return {name: self.entry.parameters[name].default for name in self.numbers}

    def at(self, part):
        """A value for each number, that far into its range."""
        return {n: lo + part * (hi - lo) for n, (lo, hi) in self.entry.info["ranges"].items()}


ENTRIES = [entry for entry in register.rules.values() if entry.make.__module__.startswith("gdlab.rules.")]


def _cases():
    for entry in ENTRIES:
        flags = [n for n, p in entry.parameters.items() if isinstance(p.default, bool)]
        for values in itertools.product([False, True], repeat=len(flags)):
            label = "-".join([entry.kind, *(flag for flag, on in zip(flags, values, strict=True) if on)])
            yield pytest.param(Case(entry, dict(zip(flags, values, strict=True))), id=label)


every_rule = pytest.mark.parametrize("case", list(_cases()))
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind)


def trajectory(rule, grads, params):
    """The updates [T, ...] of a rule on the gradients [T, ...], and its last state."""

    def step(carry, g):
        x, state = carry
        updates, state = rule.update(g, state, x)
        return (jax.tree.map(lambda a, u: a + u, x, updates), state), updates

    (_, state), updates = jax.lax.scan(step, (params, rule.init(params)), grads)
    return updates, state


def gradients(steps=5, seed=0):
    """Gradients [steps, 6] of mixed sizes and signs, and a first point [6]."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(steps, 6)) * 10.0 ** np.arange(-3, 3), draw.normal(size=6)
