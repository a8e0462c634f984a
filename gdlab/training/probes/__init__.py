"""Probes: measurements at the steps of a run, inside the compiled program.

A probe is a pure function of a `Step`, or a pair `(init, measure)` with a carry from one measurement to the next.
Probes with options are made by a factory: `sharpness(iterations=8)`, `distance()`.
"""

from gdlab.training.probes.every import every
from gdlab.training.probes.grad_cosine import grad_cosine
from gdlab.training.probes.hessian_trace import hessian_trace
from gdlab.training.probes.layer_norms import layer_grad_norms, layer_update_norms
from gdlab.training.probes.making import probe_of
from gdlab.training.probes.noise import gradient_signal_ratio, noise_scale
from gdlab.training.probes.norms import grad_norm, param_norm, update_norm
from gdlab.training.probes.position import distance, position
from gdlab.training.probes.sharpness import preconditioned_sharpness, sharpness
from gdlab.training.probes.top_subspace import top_subspace_share

__all__ = [
    "distance",
    "every",
    "grad_cosine",
    "grad_norm",
    "gradient_signal_ratio",
    "hessian_trace",
    "layer_grad_norms",
    "layer_update_norms",
    "noise_scale",
    "param_norm",
    "position",
    "preconditioned_sharpness",
    "probe_of",
    "sharpness",
    "top_subspace_share",
    "update_norm",
]
