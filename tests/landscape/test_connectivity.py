"""Lines and curves between two solutions, and the barrier on them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray

from gdlab import Problem, descend
from gdlab.landscape.connectivity import aligned, barrier, connect, curve_losses, curve_problem, interpolate
from gdlab.problems.mlp import mlp
from gdlab.rules.adam import adam

KEY = jax.random.key(0)
LEFT, RIGHT = jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0])


def ridge(params):
    """A valley along the unit circle, with a hill of height 1 between LEFT and RIGHT."""
    return (jnp.sum(params**2) - 1) ** 2


HILL = Problem(init=lambda key: LEFT, loss=lambda params, batch: ridge(params))


@pytest.mark.smoke
def test_interpolate_evaluates_the_line_and_its_exact_ends():
    data = interpolate(ridge, LEFT, RIGHT, 9)
    t = np.linspace(0, 1, 9)
    assert data["loss"].dims == ("t",)
    np.testing.assert_allclose(data["loss"], ((2 * t - 1) ** 2 - 1) ** 2, atol=1e-6)
    a, b = jnp.array([0.1, 1e-3]), jnp.array([1 / 3, 7e5])
    ends = interpolate(lambda p: {"point": p, "loss": jnp.sum(p)}, a, b, [0.0, 0.3, 1.0])
    np.testing.assert_array_equal(ends["point"].values[[0, -1]], [a, b])
    assert ends["loss"].values[[0, -1]].tolist() == [float(jnp.sum(a)), float(jnp.sum(b))]


@pytest.mark.parametrize(
    ("losses", "height"), [([1, 5, 3], 3.0), ([1, 1.5, 4], 0.0), ([2, np.inf, 2], np.inf), ([0, 0, 0], 0.0)]
)
def test_barrier_is_relative_to_the_line_between_the_ends(losses, height):
    assert float(barrier(xarray.DataArray(losses, {"t": [0, 0.5, 1]}, ["t"]))) == height


def test_barrier_of_many_lines_and_of_nan():
    rows = xarray.DataArray([[1.0, 5, 3], [1, np.nan, 3]], {"t": [0, 0.25, 1]}, ["seed", "t"])
    np.testing.assert_array_equal(barrier(rows), [3.5, np.nan])


@pytest.mark.parametrize(("curve", "bends"), [("bezier", 1), ("polygon", 1), ("polygon", 3)])
def test_connect_trains_a_curve_around_a_hill(curve, bends):
    # The ends are slightly off the axis of symmetry, on which the gradient across it is 0.
    a, b = (jnp.array([x, 0.1]) / jnp.sqrt(1.01) for x in (-1.0, 1.0))
    train = jax.jit(
        lambda key: connect(HILL, a, b, adam(lr=0.02), key, steps=1500, curve=curve, bends=bends, every=None)
    )
    found = train(KEY)
    assert len(found.points) == bends + 2
    along = curve_losses(ridge, found.points, 41, curve=curve)["loss"]
    assert float(barrier(interpolate(ridge, a, b, 41)["loss"])) > 0.9
    # The optimum of so few pieces around half a circle.
    assert float(barrier(along)) < {1: 0.35, 3: 0.05}[bends]
    np.testing.assert_array_equal([found.points[0], found.points[-1]], [a, b])


def test_curve_problem_draws_uniform_t_with_unbiased_gradient():
    problem = curve_problem(HILL, LEFT, RIGHT)
    bend = (jnp.array([0.2, 0.9]),)
    ts = jax.vmap(lambda i: problem.sample(jax.random.fold_in(KEY, i), i, 1)[0])(jnp.arange(4000))
    assert abs(np.sort(ts) - np.linspace(0, 1, 4000)).max() < 1.63 / np.sqrt(4000)  # Kolmogorov-Smirnov at 1%
    t = np.linspace(0, 1, 11)[:, None]
    path = (1 - t) ** 2 * [-1, 0] + 2 * t * (1 - t) * np.asarray(bend[0]) + t**2 * [1, 0]
    losses = [problem.loss(bend, (jnp.float32(each), None)) for each in t[:, 0]]
    np.testing.assert_allclose(losses, ((path**2).sum(axis=1) - 1) ** 2, atol=1e-6)


def test_curve_problem_batches():
    x = jnp.arange(10.0)
    base = Problem(init=lambda key: LEFT, loss=lambda params, batch: jnp.mean(batch), data=x)
    _, batch = curve_problem(base, LEFT, RIGHT).sample(KEY, jnp.int32(0), 4)
    assert batch.shape == (4,)
    assert set(batch.tolist()) <= set(x.tolist())
    np.testing.assert_array_equal(curve_problem(base, LEFT, RIGHT, whole=True).sample(KEY, jnp.int32(0), 1)[1], x)
    stream = Problem(init=base.init, loss=base.loss, sample=lambda key, step, size: jnp.full(size, 7.0))
    np.testing.assert_array_equal(curve_problem(stream, LEFT, RIGHT).sample(KEY, jnp.int32(0), 2)[1], [7, 7])
    with pytest.raises(ValueError, match="whole=True needs a problem with data"):
        connect(stream, LEFT, RIGHT, adam(lr=0.1), KEY, steps=1)
    with pytest.raises(ValueError, match="bends must be at least 1"):
        curve_problem(base, LEFT, RIGHT, bends=0)


def test_connect_depends_on_the_key_and_vmaps_over_keys():
    train = lambda key: connect(HILL, LEFT, RIGHT, optax.sgd(0.05), key, steps=20, every=None).points[1]
    keys = jax.random.split(KEY, 2)
    together, alone = jax.jit(jax.vmap(train))(keys), [jax.jit(train)(key) for key in keys]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-5, atol=1e-6)
    assert not np.array_equal(*alone)


@pytest.fixture(scope="module")
def digits():
    """A network on digits, and the final params of two seeds."""
    problem = mlp(widths=(64,))
    train = jax.jit(lambda key: descend(problem, adam(lr=0.01), key, steps=150, batch_size=128, every=None).params)
    return problem, [train(jax.random.key(seed)) for seed in (0, 1)]


def test_aligned_lowers_the_barrier_and_keeps_the_function(digits):
    problem, (a, b) = digits
    moved = aligned(b, a)
    z = [problem.outputs(params, problem.data) for params in (b, moved)]
    np.testing.assert_allclose(z[1], z[0], rtol=1e-4, atol=1e-4)
    loss = lambda params: problem.loss(params, problem.data)
    before, after = (float(barrier(interpolate(loss, a, to)["loss"])) for to in (b, moved))
    assert after < 0.6 * before
    assert before > 0.05


def test_connect_finds_a_low_loss_curve_between_two_seeds(digits):
    problem, (a, b) = digits
    loss = lambda params: problem.loss(params, problem.data)
    found = jax.jit(lambda key: connect(problem, a, b, adam(lr=0.01), key, steps=200, batch_size=128, every=None))(KEY)
    straight, bent = interpolate(loss, a, b)["loss"], curve_losses(loss, found.points, 25)["loss"]
    assert float(barrier(bent)) < 0.3 * float(barrier(straight))
