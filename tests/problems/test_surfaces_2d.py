"""Two-dimensional functions against their formulas in NumPy float64 and SciPy's minimiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gdlab import problems

PI, E = np.pi, np.e

TEXTBOOK = {
    "quadratic_2d": lambda x, y: (x * x + 10 * y * y) / 2,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    "beale": lambda x, y: sum((c - x * (1 - y**k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
    "himmelblau": lambda x, y: (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2,
    "rastrigin": lambda x, y: 20 + x * x + y * y - 10 * (np.cos(2 * PI * x) + np.cos(2 * PI * y)),
    "ackley": lambda x, y: (
        20 + E - 20 * np.exp(-0.2 * np.hypot(x, y) / 2**0.5) - np.exp((np.cos(2 * PI * x) + np.cos(2 * PI * y)) / 2)
    ),
    "styblinski_tang": lambda x, y: sum(z**4 - 16 * z**2 + 5 * z for z in (x, y)) / 2,
    "saddle": lambda x, y: (x * x - y * y) / 2,
    "monkey_saddle": lambda x, y: ((x + 1j * y) ** 3).real,
}
WITH_MINIMUM = [name for name in TEXTBOOK if "saddle" not in name]


def make(name, **given):
    return getattr(problems, name)(**given)


def window_points(problem, n, seed=0):
    (x0, x1), (y0, y1) = problem.facts["domain"]
    return np.random.default_rng(seed).uniform((x0, y0), (x1, y1), (n, 2))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", TEXTBOOK)
def test_surfaces_2d_value_and_gradient(name):
    problem, f, h = make(name), TEXTBOOK[name], 1e-5
    points = window_points(problem, 200)
    values, grads = jax.jit(jax.vmap(lambda p: problem.value_and_grad(p, None)))(jnp.asarray(points))
    x, y = points.T
    np.testing.assert_allclose(values, f(x, y), rtol=1e-12, atol=1e-12)
    differences = np.stack([f(x + h, y) - f(x - h, y), f(x, y + h) - f(x, y - h)], axis=1) / (2 * h)
    np.testing.assert_allclose(grads, differences, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", WITH_MINIMUM)
def test_surfaces_2d_minimisers_have_the_minimum_and_no_gradient(name):
    problem = make(name)
    measure = jax.jit(jax.vmap(lambda p: problem.value_and_grad(p, None)))
    values, grads = measure(problem.facts["minimisers"])
    np.testing.assert_allclose(values, problem.facts["minimum"], rtol=1e-15, atol=1e-26)
    np.testing.assert_allclose(grads, 0, atol=2e-12)


@pytest.mark.parametrize(
    ("name", "formula"), [(n, TEXTBOOK[n]) for n in WITH_MINIMUM if n not in ("rastrigin", "ackley")]
)
def test_surfaces_2d_minimisers_are_complete(name, formula):
    problem = make(name)
    (x0, x1), (y0, y1) = problem.facts["domain"]
    starts = [(x, y) for x in np.linspace(x0, x1, 6) for y in np.linspace(y0, y1, 6)]
    ends = [scipy.optimize.minimize(lambda p: formula(*p), start, method="Nelder-Mead") for start in starts]
    least = problem.facts["minimum"]
    found = np.array([end.x for end in ends if end.fun < least + 1e-6])
    known = np.asarray(problem.facts["minimisers"])
    distance = np.abs(found[:, None] - known[None]).max(axis=2)
    assert min(end.fun for end in ends) > least - 1e-6
    assert (distance.min(axis=1) < 1e-2).all(), "a minimiser that the facts do not have"
    assert (distance.min(axis=0) < 1e-2).all(), "a minimiser that the search did not find"


@pytest.mark.parametrize("name", WITH_MINIMUM)
def test_surfaces_2d_minimum_is_lowest_in_the_domain(name):
    problem = make(name)
    x, y = (np.linspace(*ends, 301) for ends in problem.facts["domain"])
    assert TEXTBOOK[name](x[:, None], y).min() >= problem.facts["minimum"] - 1e-12


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "given", [{"name": "quadratic_2d", "condition": 0.25}, {"name": "quadratic_2d"}, {"name": "saddle"}]
)
def test_surfaces_2d_hessian_and_its_extremes(given):
    problem = make(**given)
    hessian = jax.jit(jax.hessian(problem.loss), static_argnums=1)(jnp.asarray([0.3, -2.0]), None)
    np.testing.assert_allclose(hessian, problem.facts["hessian"], rtol=1e-15)
    least, largest = np.linalg.eigvalsh(hessian)
    assert problem.facts["smoothness"] == largest
    assert problem.facts.get("strong_convexity", least) == least


def test_saddles_have_no_minimum_and_zero_gradient_at_the_saddle():
    for name in ("saddle", "monkey_saddle"):
        problem = make(name)
        assert "minimum" not in problem.facts
        assert not problem.value_and_grad(problem.facts["saddle_point"], None)[1].any()
        assert problem.loss(jnp.asarray([1.0, 10.0]), None) < -1


def test_ackley_at_its_tip_is_exactly_zero_with_a_finite_gradient():
    problem = make("ackley")
    tip = jnp.zeros(2)
    value, grads = jax.jit(problem.value_and_grad)(tip, None)
    assert value == 0
    assert (grads == 0).all()
    close = problem.loss(jnp.asarray([1e-6, 0.0]), None)
    np.testing.assert_allclose(close, 4e-6 / 2**0.5, rtol=1e-5)  # the cone's slope, 0.2 * 20 / sqrt(2)


def test_rosenbrock_of_other_coefficients():
    problem = make("rosenbrock", a=2.0, b=5.0)
    assert problem.loss(jnp.asarray([1.0, 3.0]), None) == 1 + 5 * 4
    np.testing.assert_array_equal(problem.facts["minimisers"], [[2.0, 4.0]])


def test_surfaces_2d_default_start_is_independent_of_the_seed():
    for name in TEXTBOOK:
        points = np.asarray(jax.vmap(make(name).init)(jax.random.split(jax.random.key(3), 4)))
        assert (points == points[0]).all()
    np.testing.assert_array_equal(make("rosenbrock").init(jax.random.key(0)), np.float32([-1.2, 1.0]))
    np.testing.assert_array_equal(make("beale", start=(2.0, -1.0)).init(jax.random.key(0)), [2.0, -1.0])


def test_surfaces_2d_spread_is_the_standard_deviation_of_the_start():
    keys = jax.random.split(jax.random.key(0), 4000)
    points = np.asarray(jax.jit(jax.vmap(make("himmelblau", start=(1.0, -2.0), spread=0.5).init))(keys))
    np.testing.assert_allclose(points.mean(axis=0), [1.0, -2.0], atol=0.04)
    np.testing.assert_allclose(points.std(axis=0), 0.5, rtol=0.05)
