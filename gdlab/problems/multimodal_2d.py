"""Functions of the plane with several minima."""

import math

import jax.numpy as jnp

from gdlab import register
from gdlab.problems.surface_2d import surface_2d
from gdlab.types import Array, Problem

# x^2 + y = 11 and x + y^2 = 7: x = 3 and the three roots of x^3 + 3x^2 - 13x - 38, with y = 11 - x^2.
HIMMELBLAU_MINIMISERS = (
    (3.0, 2.0),
    (-2.805118086952744853, 3.131312518250572966),
    (-3.779310253377746892, -3.283185991286169412),
    (3.584428340330491745, -1.848126526964403554),
)
# The smallest root of 4x^3 - 32x + 5, and the value of the function there.
STYBLINSKI_TANG_ROOT, STYBLINSKI_TANG_MINIMUM = -2.903534027771177095, -78.33233140754283093


@register.problem("himmelblau", source="Himmelblau, Applied Nonlinear Programming, 1972")
def himmelblau(start: tuple[float, float] = (0.0, 0.0), spread: float = 0.0) -> Problem:
    """Himmelblau's function: f = (x^2 + y - 11)^2 + (x + y^2 - 7)^2.

    Four minima, all of value 0: (3, 2), (-2.805, 3.131), (-3.779, -3.283), (3.584, -1.848). The default start lies near
    the maximum between them.

    Source: Himmelblau (1972).
    """

    def f(x: Array, y: Array) -> Array:
        return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2

    return surface_2d(
        f, start, spread, minimisers=HIMMELBLAU_MINIMISERS, minimum=0.0, domain=((-5.0, 5.0), (-5.0, 5.0))
    )


@register.problem("rastrigin", source="Rastrigin, Systems of Extremal Control, 1974")
def rastrigin(amplitude: float = 10.0, start: tuple[float, float] = (4.3, -3.4), spread: float = 0.0) -> Problem:
    """Rastrigin's function: f = 2A + x^2 - A cos(2 pi x) + y^2 - A cos(2 pi y), with A = `amplitude`.

    For A >= 0 the minimum is 0, at (0, 0); at A = 10 there is a local minimum near each point of whole numbers. The
    literature draws the start at random; the default here is far from the minimum and off the axes of symmetry.

    Source: Rastrigin (1974).
    """

    def f(x: Array, y: Array) -> Array:
        # 1 - cos(2t) = 2 sin(t)^2 keeps the digits that a difference of two numbers near A would lose.
        waves = jnp.sin(math.pi * x) ** 2 + jnp.sin(math.pi * y) ** 2
        return x**2 + y**2 + 2.0 * jnp.asarray(amplitude, x.dtype) * waves

    return surface_2d(f, start, spread, minimisers=[(0.0, 0.0)], minimum=0.0, domain=((-5.12, 5.12), (-5.12, 5.12)))


@register.problem("ackley", source="Ackley, A Connectionist Machine for Genetic Hillclimbing, 1987")
def ackley(start: tuple[float, float] = (2.7, -1.8), spread: float = 0.0) -> Problem:
    """Ackley's function: f = -20 exp(-0.2 sqrt((x^2 + y^2) / 2)) - exp((cos 2 pi x + cos 2 pi y) / 2) + e + 20.

    The minimum is 0, at (0, 0), the tip of a cone, where the gradient does not exist and is given as 0. The literature
    draws the start at random; the default here is off the axes of symmetry.

    Source: Ackley (1987).
    """

    def f(x: Array, y: Array) -> Array:
        square = 0.5 * (x**2 + y**2)
        # At the tip, the square root of 1 is computed instead of that of 0, whose gradient would be 0 * infinity.
        radius = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
        waves = jnp.sin(math.pi * x) ** 2 + jnp.sin(math.pi * y) ** 2
        return -20.0 * jnp.expm1(-0.2 * radius) - math.e * jnp.expm1(-waves)

    return surface_2d(f, start, spread, minimisers=[(0.0, 0.0)], minimum=0.0, domain=((-5.0, 5.0), (-5.0, 5.0)))


@register.problem("styblinski_tang", source="Styblinski & Tang, Neural Networks 3(4), 1990")
def styblinski_tang(start: tuple[float, float] = (4.5, 4.5), spread: float = 0.0) -> Problem:
    """Styblinski and Tang's function: f = 1/2 (x^4 - 16 x^2 + 5 x + y^4 - 16 y^2 + 5 y).

    Four minima; the least, -78.3323, is at x = y = -2.90353. The literature draws the start at random; the default lies
    in the basin of the shallowest of the four minima, x = y = 2.74680.

    Source: Styblinski & Tang (1990).
    """

    def f(x: Array, y: Array) -> Array:
        return 0.5 * (x**4 - 16.0 * x**2 + 5.0 * x + y**4 - 16.0 * y**2 + 5.0 * y)

    root = STYBLINSKI_TANG_ROOT
    return surface_2d(
        f,
        start,
        spread,
        minimisers=[(root, root)],
        minimum=STYBLINSKI_TANG_MINIMUM,
        domain=((-5.0, 5.0), (-5.0, 5.0)),
    )
