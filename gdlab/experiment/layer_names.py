"""What the layers are called that probes by layer measure."""

import jax

from gdlab.config import Resolved
from gdlab.curvature import split
from gdlab.engine.space import space
from gdlab.training.sweep import PROBLEM


def layer_names(resolved: Resolved) -> dict[str, list[str]]:
    """By probe, the names of the layers along its last dim, for the probes of a config that measure by layer.

    Nothing where the problem itself is swept: its layers may not be the same in all runs.
    """
    probes = [probe.kind for probe in resolved.config.record.probes if probe.kind.startswith("layer_")]
    if not probes or any(name.startswith(PROBLEM) for name in space(resolved.over).names):
        return {}
    names = list(split(jax.eval_shape(resolved.problem().init, jax.random.key(0))))
    return dict.fromkeys(probes, names)
