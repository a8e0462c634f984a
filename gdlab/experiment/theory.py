"""Up to which learning rate theory says that a config's rules are stable."""

from collections.abc import Mapping

import numpy as np

from gdlab import register
from gdlab.config import Resolved
from gdlab.engine.space import space
from gdlab.rules.threshold import preconditioned_threshold, sharpness_threshold
from gdlab.training.sweep import PROBLEM, rule_axes

SERIES = ("sharpness", "preconditioned_sharpness")


def stability_of_sharpness(resolved: Resolved) -> dict[str, dict[str, float]]:
    """By series and label, the constant c: with what the series measures below c / lr, the rule is stable.

    Only for rules of which theory knows it, where none of the hyperparameters that decide it is swept or scheduled.
    """
    axes, factories = space(resolved.over).names, resolved.rules
    found: dict[str, dict[str, float]] = {}
    for series, threshold in zip(SERIES, (sharpness_threshold, preconditioned_threshold), strict=True):
        constants = {}
        for label, rule in resolved.config.rules.items():
            own = {name: value for name, value in rule.hyperparameters.items() if name != "lr"}
            swept = set(rule_axes(factories, label, axes)) - {"lr"}
            numbers = all(isinstance(value, int | float | str) for value in own.values())
            if rule.kind not in register.rules or swept or not numbers:
                continue
            constant = threshold(rule.kind, 1.0, **own)
            if constant is not None and np.isfinite(constant):
                constants[label] = float(constant)
        found[series] = constants
    return found


def stable_lr(resolved: Resolved) -> dict[str, dict[str, float]]:
    """By label, the theory's limit: the rule is stable on the problem for rates below `lr` = `c` / L.

    Only for rules that have such a limit, on a problem whose greatest curvature L is known, where neither is swept.
    """
    axes, factories = space(resolved.over).names, resolved.rules
    if any(name.startswith(PROBLEM) for name in axes):
        return {}
    if not any("stability" in _rule_entry(rule.kind).info for rule in resolved.config.rules.values()):
        return {}
    smoothness = resolved.problem().facts.get("smoothness")
    limits = {}
    for label, rule in resolved.config.rules.items():
        entry = _rule_entry(rule.kind)
        if smoothness is None or "stability" not in entry.info:
            continue
        values = {n: p.default for n, p in entry.parameters.items()} | rule.hyperparameters
        values.pop("lr", None)
        swept = set(rule_axes(factories, label, axes))
        if swept & set(values) or any(isinstance(value, Mapping) for value in rule.hyperparameters.values()):
            continue  # a limit for each value, or one that moves with the schedule
        constant = float(entry.info["stability"](**values))
        if np.isfinite(constant):
            limits[label] = {"c": constant, "lr": constant / float(smoothness)}
    return limits


def _rule_entry(kind: str) -> register.Entry:
    return register.rules.get(kind) or register.Entry(kind, lambda: None)
