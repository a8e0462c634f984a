"""The largest curvature at a step: of the loss, and of the loss as the rule sees it."""

from collections.abc import Callable

from gdlab import register
from gdlab.curvature import Matvec, preconditioned
from gdlab.training.probes.examples import Data, hessian
from gdlab.training.probes.leading import leading, nowhere
from gdlab.types import Array, Params, Probe, Problem, Step

COST = "2 to 3 times `iterations` where the run moves slowly, up to 8 times that where it does not, as at first"


@register.probe(
    "sharpness",
    factory=True,
    source="Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021",
    url="https://arxiv.org/abs/2103.00065",
    cost=COST,
)
def sharpness(iterations: int = 5, data: Data = "batch", tolerance: float = 0.02) -> Probe:
    """The sharpness: the algebraically largest eigenvalue of the Hessian of the loss at the parameters.

    In units of loss per parameter squared; `gdlab.rules.threshold.sharpness_threshold` is the line to see it against,
    2 / lr for gradient descent. By `iterations` Lanczos steps from the eigenvector found the last time, again until the
    residual |H v - value v| is at most `tolerance` times the value; the value's own error is at most about the square
    of the residual over the distance to the next eigenvalue, so of the order of tolerance^2 where that is not close.
    Where it is negative, no direction that was seen curves up.

    Of a problem with a `gradient` of its own it is still the Hessian of the loss. Noisy batches give noisy values:
    data="all" measures on all data, at that price.

    Source: Cohen et al. (2021).

    Raises:
        ValueError: less than one iteration; another `data`, or "all" of an endless stream.
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
    `gdlab.rules.preconditioner`); for Adam P = (1 - b1^t) (sqrt(vhat) + eps), and the line to see it against is
    (2 + 2 b1) / ((1 - b1) lr), `gdlab.rules.threshold.preconditioned_threshold`. With a rule that tells no P, gradient
    descent or one of optax, P = I: it is the `sharpness`. Where a P is not positive there is no such value: NaN.

    Options and errors as for `sharpness`. Source: Cohen et al. (2022).
    """

    def seen(step: Step) -> Matvec:
        divisor = step.preconditioner()
        matvec = hessian(step, data)
        return matvec if divisor is None else preconditioned(matvec, divisor)

    return _warm(seen, iterations, tolerance)


def _warm(matrix: Callable[[Step], Matvec], iterations: int, tolerance: float) -> Probe:
    if iterations < 1:
        raise ValueError(f"the sharpness takes at least one iteration, not {iterations}")

    def init(problem: Problem, params: Params) -> Array:
        return nowhere(params)

    def measure(before: Array, step: Step) -> tuple[Array, Array]:
        value, vector = leading(matrix(step), step.params, before, step.key, iterations, tolerance)
        return vector, value

    return init, measure
