"""The sharpness and the preconditioned sharpness at a step."""

from collections.abc import Callable

from gdlab import register
from gdlab.curvature import Matvec, preconditioned
from gdlab.training.probes.examples import Data, hessian
from gdlab.training.probes.leading import leading, zero_start
from gdlab.types import Array, Params, Probe, Problem, Step

COST = (
    "2 to 3 times `iterations` while the Hessian changes slowly, up to 8 times that otherwise (as at the first steps)"
)


@register.probe(
    "sharpness",
    factory=True,
    source="Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021",
    url="https://arxiv.org/abs/2103.00065",
    cost=COST,
)
def sharpness(iterations: int = 5, data: Data = "batch", tolerance: float = 0.02) -> Probe:
    """The sharpness: the algebraically largest eigenvalue of the Hessian of the loss at the parameters.

    In units of loss per squared parameter. `gdlab.rules.threshold.sharpness_threshold` is its stability threshold,
    2 / lr for gradient descent. Computed by `iterations` Lanczos steps from the previous eigenvector, repeated until
    the residual |H v - value v| is at most `tolerance` times the value. The error of the value is at most about the
    squared residual divided by the gap to the next eigenvalue; its order is tolerance^2 unless the gap is small. A
    negative value means that no direction of positive curvature was found.

    For a problem with a custom `gradient` it is still the Hessian of the loss. On small batches the values are noisy;
    data="all" measures on all data, at a higher cost.

    Source: Cohen et al. (2021).

    Raises:
        ValueError: fewer than one iteration; an unknown `data`, or "all" for an endless stream.
    """
    return _warm(lambda step: hessian(step, data), iterations, tolerance)


@register.probe(
    "preconditioned_sharpness",
    factory=True,
    source="Cohen et al., Adaptive gradient methods at the edge of stability, 2022",
    url="https://arxiv.org/abs/2207.14484",
    cost=COST,
)
def preconditioned_sharpness(iterations: int = 5, data: Data = "batch", tolerance: float = 0.02) -> Probe:
    """The preconditioned sharpness: the algebraically largest eigenvalue of P^-1 H.

    H is the Hessian of the loss and P the diagonal by which the rule divided its momentum at this step (see
    `gdlab.rules.preconditioner`). For Adam P = (1 - b1^t) (sqrt(vhat) + eps), and the stability threshold is
    (2 + 2 b1) / ((1 - b1) lr), `gdlab.rules.threshold.preconditioned_threshold`. For a rule without a known P, such as
    gradient descent or a rule of optax, P = I and the value is the `sharpness`. NaN if an entry of P is not positive.

    Options and errors as for `sharpness`. Source: Cohen et al. (2022).
    """

    def matrix(step: Step) -> Matvec:
        divisor = step.preconditioner()
        matvec = hessian(step, data)
        return matvec if divisor is None else preconditioned(matvec, divisor)

    return _warm(matrix, iterations, tolerance)


def _warm(matrix: Callable[[Step], Matvec], iterations: int, tolerance: float) -> Probe:
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, not {iterations}")

    def init(problem: Problem, params: Params) -> Array:
        return zero_start(params)

    def measure(before: Array, step: Step) -> tuple[Array, Array]:
        value, vector = leading(matrix(step), step.params, before, step.key, iterations, tolerance)
        return vector, value

    return init, measure
