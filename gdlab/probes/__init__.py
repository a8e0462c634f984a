"""What can be measured at a step of a run, inside the compiled program.

A probe is a pure function of a `Step`, or a pair `(init, measure)` that carries something from one measurement to the
next. Those with options are made by a function of them: `sharpness(iterations=8)`, `distance()`.
"""

from gdlab.probes.every import every
from gdlab.probes.grad_cosine import grad_cosine
from gdlab.probes.hessian_trace import hessian_trace
from gdlab.probes.layer_norms import layer_grad_norms, layer_update_norms
from gdlab.probes.making import probe_of
from gdlab.probes.noise import gradient_signal_ratio, noise_scale
from gdlab.probes.norms import grad_norm, param_norm, update_norm
from gdlab.probes.places import distance, position
from gdlab.probes.sharpness import preconditioned_sharpness, sharpness
from gdlab.probes.top_subspace import top_subspace_share

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
