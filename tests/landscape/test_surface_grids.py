"""Losses on lines, planes and flats, against closed forms in NumPy and loops."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.landscape import (
    Flat,
    Plane,
    at,
    block,
    line,
    normalised,
    point,
    random_direction,
    random_lines,
    random_plane,
    random_planes,
    surface,
    surfaces,
)

KEY = jax.random.key(0)
# Distinct eigenvalues and oblique axes, so that an exchange of x and y is detected.
H = np.array([[3.0, 0.4, 0.1], [0.4, 2.0, -0.6], [0.1, -0.6, 1.0]])
PLANE = Plane(jnp.array([1.0, 2.0, -1.0]), jnp.array([1.0, 0.5, 0.0]), jnp.array([0.0, -1.0, 2.0]))
X, Y = np.linspace(0.5, 3, 7), np.linspace(-4, -1, 4)


def quadratic(params):
    h = jnp.asarray(H, params.dtype)
    return params @ h @ params / 2


def exact(params):
    return np.einsum("...i,ij,...j->...", params, H, params) / 2


def grid(plane, x, y):
    centre, u, v = (np.asarray(leaf, np.float64) for leaf in plane)
    return centre + x[None, :, None] * u + y[:, None, None] * v


@pytest.mark.smoke
@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.integers(1, 5), st.integers(1, 5), st.floats(-3, 3), st.floats(-3, 3))
def test_surface_of_a_quadratic_is_not_transposed(columns, rows, left, low):
    x, y = left + np.linspace(0, 2, columns), low + np.linspace(0, 1, rows)
    data = surface(quadratic, PLANE, x, y)
    assert data["loss"].dims == ("y", "x")
    np.testing.assert_allclose(data["loss"], exact(grid(PLANE, x, y)), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(data["x"], x)
    np.testing.assert_array_equal(data["y"], y)


def test_surface_attributes_are_norms_and_cosine():
    attributes = surface(quadratic, PLANE, X, Y).attrs
    reported = [attributes[name] for name in ("norm_u", "norm_v", "cosine")]
    np.testing.assert_allclose(reported, [np.sqrt(1.25), np.sqrt(5), -0.5 / np.sqrt(1.25 * 5)], rtol=1e-6)


def test_line_and_block_of_a_quadratic():
    data = line(quadratic, PLANE.centre, PLANE.u, X)
    assert data["loss"].dims == ("alpha",)
    np.testing.assert_allclose(data["loss"], exact(grid(PLANE, X, np.zeros(1)))[0], rtol=1e-5)
    flat = Flat(PLANE.centre, (PLANE.u, PLANE.v, jnp.array([0.0, 0.0, 1.0])))
    z = np.array([-1.0, 0.0, 5.0])
    cube = block(quadratic, flat, {"a": X, "b": Y, "c": z})
    assert cube["loss"].dims == ("c", "b", "a")
    points = grid(PLANE, X, Y) + z[:, None, None, None] * np.array([0, 0, 1])
    np.testing.assert_allclose(cube["loss"], exact(points), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="a flat with 3 directions needs as many axes, not a, b"):
        block(quadratic, flat, {"a": X, "b": Y})


def test_surface_of_several_measures_and_nan_cells():
    def measures(params):
        return {"loss": jnp.log(params[0]), "slope": jax.grad(quadratic)(params)}

    data = surface(measures, PLANE, np.array([-2.0, -1.0, 0.0]), Y)
    assert np.isnan(data["loss"].isel(x=0)).all()
    assert (data["loss"].isel(x=1) == -np.inf).all()
    np.testing.assert_allclose(data["slope"], grid(PLANE, data["x"].values, Y) @ H, rtol=1e-4, atol=1e-4)


def test_surface_equals_a_loop_for_every_chunk():
    whole = surface(quadratic, PLANE, X, Y)["loss"].values
    looped = [[float(jax.jit(lambda a, b: quadratic(at(PLANE, a, b)))(a, b)) for a in X] for b in Y]
    np.testing.assert_allclose(whole, looped, rtol=1e-6)
    for chunk in (1, 3, 100):
        np.testing.assert_allclose(surface(quadratic, PLANE, X, Y, chunk=chunk)["loss"], whole, rtol=1e-6)


def test_surfaces_have_one_plane_per_run():
    planes = [random_plane(key, jnp.ones(3) * i, "none") for i, key in enumerate(jax.random.split(KEY, 3))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *planes)
    data = surfaces(quadratic, stacked, X, Y, runs=["gd", "adam", "sam"])
    assert data["loss"].dims == ("run", "y", "x")
    for name, plane in zip(data["run"].values, planes, strict=True):
        np.testing.assert_allclose(data["loss"].sel(run=name), exact(grid(plane, X, Y)), rtol=1e-4, atol=1e-4)
    assert surfaces(quadratic, stacked, X, Y)["run"].values.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="2 labels for 3 planes"):
        surfaces(quadratic, stacked, X, Y, runs=["gd", "adam"])
    with pytest.raises(ValueError, match="lengths"):
        surfaces(quadratic, stacked._replace(u=jnp.ones((2, 3))), X, Y)


@pytest.mark.smoke
def test_surfaces_are_one_program(compilations):
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 4), PLANE)
    before = compilations()
    surfaces(lambda params: quadratic(params) + 1, stacked, X, Y)
    assert compilations() - before == 2  # the start, which does nothing, and the remaining program


def test_random_planes_and_lines_depend_on_their_keys():
    params = {"kernel": jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32), "bias": jnp.ones(4)}
    weights = jnp.arange(12.0).reshape(3, 4)
    loss = lambda p: jnp.sum(weights * p["kernel"] ** 2) + jnp.sum(p["bias"])
    keys, alphas = jax.random.split(KEY, 3), np.linspace(-1, 2, 5)
    data = random_planes(loss, params, keys, X, Y, "layer", biases=True, orthogonalise=True)
    lines = random_lines(loss, params, keys, alphas)
    assert data["loss"].dims == ("plane", "y", "x")
    assert lines["loss"].dims == ("plane", "alpha")
    a, x, y = (jnp.asarray(values, jnp.float32) for values in (alphas, X, Y))

    @jax.jit
    def alone(key):
        plane = random_plane(key, params, "layer", biases=True, orthogonalise=True)
        one = Flat(params, (random_direction(key, params),))
        on_plane = jax.vmap(lambda y: jax.vmap(lambda x: loss(at(plane, x, y)))(x))(y)
        return on_plane, jax.vmap(lambda a: loss(point(one, [a])))(a)

    for k, key in enumerate(keys):
        on_plane, on_line = alone(key)
        np.testing.assert_allclose(data["loss"].sel(plane=k), on_plane, rtol=1e-4)
        np.testing.assert_allclose(lines["loss"].sel(plane=k), on_line, rtol=1e-4)
    assert float(data["loss"].std("plane").max()) > 0.1


def test_line_filter_normalised_is_invariant_to_relu_rescaling():
    keys = jax.random.split(KEY, 4)
    inputs, wanted = jax.random.normal(keys[0], (32, 8)), jax.random.normal(keys[1], (32, 3))
    net = (jax.random.normal(keys[2], (8, 16)), jax.random.normal(keys[3], (16, 3)))
    loss = lambda p: jnp.mean((jax.nn.relu(inputs @ p[0]) @ p[1] - wanted) ** 2)
    lines: dict = {"filter": [], "none": []}
    for params in (net, (10 * net[0], net[1] / 10)):
        for normalise, found in lines.items():
            direction = normalised(jax.grad(loss)(params), params, normalise)
            found.append(line(loss, params, direction, np.linspace(-1, 1, 5))["loss"])
    np.testing.assert_allclose(lines["filter"][1], lines["filter"][0], rtol=1e-4)
    assert float(abs(lines["none"][1] / lines["none"][0] - 1).max()) > 0.5


GRID_OF_A_LARGE_NETWORK = """
import resource
import jax, jax.numpy as jnp, numpy as np
from gdlab.landscape import random_plane
from gdlab.surfaces import random_planes, surface

def loss(params):
    return jnp.mean((jax.nn.relu(inputs @ params["in"]) @ params["out"]) ** 2)

inputs = jnp.ones((2, 1000))
params = {"in": jnp.ones((1000, 900)), "out": jnp.ones((900, 112))}
assert sum(leaf.size for leaf in jax.tree.leaves(params)) > 1e6
plane = random_plane(jax.random.key(0), params)
jax.block_until_ready((plane, jax.jit(loss)(params)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ends = np.linspace(-1, 1, 201)
data = surface(loss, plane, ends, ends)
assert np.isfinite(data["loss"]).all()
few = np.linspace(-1, 1, 4)
random_planes(loss, params, jax.random.split(jax.random.key(1), 300), few, few)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)  # ru_maxrss counts KiB
"""


@pytest.mark.slow
def test_surface_does_not_hold_the_params_of_all_cells():
    done = subprocess.run([sys.executable, "-c", GRID_OF_A_LARGE_NETWORK], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1  # GiB; all cells at once would be 150, the 300 planes together 2.3
