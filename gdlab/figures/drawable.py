"""Checks whether a figure can be drawn from the axes of a sweep; a config is checked before its runs start.

Each function in this module returns a function `needs(axes, options)` for `gdlab.register.figure`. `axes` is
`{name: (dim, size)}`; zipped axes share a dim, and so do the axes of a chain. `options` are the options of the figure.
`needs` returns the reason why the figure can't be drawn, or an empty string if it can.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gdlab.analysis.selection import RULE, SEED
from gdlab.figures.panels import MOST, RATE_AXES
from gdlab.figures.wording import spelled

Axes = Mapping[str, tuple[str, int]]
Needs = Callable[[Axes, Mapping[str, Any]], str]


def needs_rate(needs: Needs) -> Needs:
    """The figure needs an axis of learning rates, in addition to the requirements of `needs`."""

    def reason(axes: Axes, options: Mapping[str, Any]) -> str:
        if not set(RATE_AXES) & set(axes):
            return f"needs the dim {' or '.join(RATE_AXES)}, which the sweep lacks"
        return needs(axes, options)

    return reason


def needs_panels(default: Sequence[str] = RATE_AXES) -> Needs:
    """The figure has a panel for each value of at most one other axis.

    Other axes are all except `rule`, `seed` and the axes of the option `over` (by default `default`).
    """

    def reason(axes: Axes, options: Mapping[str, Any]) -> str:
        left = _left(axes, options, options.get("over") or default)
        if len(left) > 1:
            return f"can have panels for one axis, but {spelled(list(left))} vary: choose a value with select"
        for dim, size in left.items():
            if size > MOST:
                return f"would have {size} panels, one for each {dim} (at most {MOST}): choose some with select"
        return ""

    return reason


def needs_no_other_axis(most_rules: Callable[[Mapping[str, Any]], int] | None = None) -> Needs:
    """The figure allows no axis except `rule`, `seed` and the learning rate.

    `most_rules(options)` is the maximum number of rules; None: no limit.
    """

    def reason(axes: Axes, options: Mapping[str, Any]) -> str:
        left = _left(axes, options, RATE_AXES)
        if left:
            return f"can't show {spelled(list(left))}: choose a value with select"
        rules = _selected(axes, options).get(RULE, 1)
        if most_rules is not None and rules > most_rules(options):
            return f"can show {most_rules(options)} rules, not {rules}: choose some with select"
        return ""

    return reason


def _left(axes: Axes, options: Mapping[str, Any], own: Sequence[str]) -> dict[str, int]:
    """The size of each dim larger than 1, except the dims of `rule`, `seed` and the axes in `own`."""
    known = {dim for name, (dim, _) in axes.items() if name in (RULE, SEED, *own)}
    return {dim: size for dim, size in _selected(axes, options).items() if size > 1 and dim not in known}


def _selected(axes: Axes, options: Mapping[str, Any]) -> dict[str, int]:
    """The size of each dim after the options `select` and `at`: a value gives size 1, a list gives its length."""
    sizes = dict(axes.values())
    for option in ("select", "at"):
        wanted = options.get(option)
        for name, value in wanted.items() if isinstance(wanted, Mapping) else ():
            if name in axes:
                sizes[axes[name][0]] = len(value) if isinstance(value, list | tuple) else 1
    return sizes
