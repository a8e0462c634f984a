"""Facts about a config, known without running it: stability limits of its rules, and the names of its layers."""

from collections.abc import Mapping

import jax
import numpy as np

from gdlab import register
from gdlab.config import Resolved
from gdlab.curvature import split
from gdlab.engine.space import space
from gdlab.rules.threshold import preconditioned_threshold, sharpness_threshold
from gdlab.training.sweep import PROBLEM, rule_axes

SERIES = ("sharpness", "preconditioned_sharpness")


def stability_of_sharpness(resolved: Resolved) -> dict[str, dict[str, float]]:
    """The stability constant c, by series and rule label: the rule is stable while the series is below c / lr.

    A rule is left out if its constant is unknown, or depends on a hyperparameter that is swept or scheduled.
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
    """The stability limit by rule label: the rule is stable on the problem for learning rates below `lr` = `c` / L.

    L is the problem's greatest curvature (`facts["smoothness"]`). Empty if L is unknown or the problem is swept. A rule
    is left out if it has no known limit, or the limit depends on a hyperparameter that is swept or scheduled.
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
            continue  # the limit would differ between runs, or change during a run
        constant = float(entry.info["stability"](**values))
        if np.isfinite(constant):
            limits[label] = {"c": constant, "lr": constant / float(smoothness)}
    return limits


def layer_names(resolved: Resolved) -> dict[str, list[str]]:
    """The names of the layers along the last dim of each probe that measures every layer, by probe.

    Empty if the problem is swept, since its layers can differ between runs.
    """
    probes = [probe.kind for probe in resolved.config.record.probes if probe.kind.startswith("layer_")]
    if not probes or any(name.startswith(PROBLEM) for name in space(resolved.over).names):
        return {}
    names = list(split(jax.eval_shape(resolved.problem().init, jax.random.key(0))))
    return dict.fromkeys(probes, names)


def _rule_entry(kind: str) -> register.Entry:
    return register.rules.get(kind) or register.Entry(kind, lambda: None)
