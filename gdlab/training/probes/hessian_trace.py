"""The trace of the Hessian at a step."""

from gdlab import register
from gdlab.curvature import trace
from gdlab.training.probes.examples import Data, hessian
from gdlab.types import Array, Probe, Step


@register.probe(
    "hessian_trace",
    factory=True,
    source="Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990",
    url="https://doi.org/10.1080/03610919008812866",
    cost="2 * probes",
)
def hessian_trace(probes: int = 8, data: Data = "batch") -> Probe:
    """Hutchinson's estimate of the trace of the Hessian of the loss, the sum of its eigenvalues.

    The mean of v'H v over `probes` Rademacher vectors v drawn with the key of the step. Unbiased, with variance
    2 sum_(i != j) H_ij^2 / probes; exact if H is diagonal.

    Source: Hutchinson (1990).

    Raises:
        ValueError: fewer than one probe; an unknown `data`, or "all" for an endless stream.
    """
    if probes < 1:
        raise ValueError(f"probes must be at least 1, not {probes}")

    def measure(step: Step) -> Array:
        return trace(hessian(step, data), step.params, step.key, probes).value

    return measure
