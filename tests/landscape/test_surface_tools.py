"""Tools for surfaces: batches, curvature, the fitted range, and a refined grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.landscape import Plane, at, batched, coordinate_plane, curvature_surface, fitted_range, refined, surface

KEY = jax.random.key(0)
PLANE = coordinate_plane()
X, Y = np.linspace(-1, 2, 4), np.linspace(0.5, 3, 3)


def ripple(params):
    return jnp.sin(3 * params[0]) + params[1] ** 2


def squared_error(params, batch):
    x, y = batch
    return jnp.mean((x @ params - y) ** 2)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(60, 2)), jnp.float32), jnp.asarray(rng.normal(size=60), jnp.float32)


def test_batched_mean_and_standard_error(data):
    inputs, wanted = (np.asarray(each, np.float64) for each in data)
    grid = surface(batched(squared_error, data, 6, KEY), PLANE, X, Y)
    order = np.asarray(jax.random.permutation(KEY, 60)).reshape(6, 10)
    for i, y in enumerate(Y):
        for j, x in enumerate(X):
            errors = (inputs @ [x, y] - wanted) ** 2
            losses = errors[order].mean(axis=1)
            np.testing.assert_allclose(grid["loss"][i, j], errors.mean(), rtol=1e-5)
            np.testing.assert_allclose(grid["loss_se"][i, j], losses.std(ddof=1) / np.sqrt(6), rtol=1e-4)
    whole = surface(batched(squared_error, data), PLANE, X, Y)
    np.testing.assert_allclose(whole["loss"], grid["loss"], rtol=1e-5)
    assert list(whole) == ["loss"]


def test_batched_drops_the_remainder(data):
    measured = batched(squared_error, data, 7, KEY)(jnp.ones(2))
    kept = np.asarray(jax.random.permutation(KEY, 60))[:56]
    seen = squared_error(jnp.ones(2), tuple(each[kept] for each in data))
    np.testing.assert_allclose(measured["loss"], seen, rtol=1e-5)


def test_batched_refuses_invalid_arguments(data):
    for batches in (0, 1, 61):
        with pytest.raises(ValueError, match="between 2 and 60, the number of examples"):
            batched(squared_error, data, batches, KEY)
    with pytest.raises(ValueError, match="pass key="):
        batched(squared_error, data, 3)


@pytest.mark.parametrize("size", [2, 70])
def test_curvature_surface_equals_the_dense_hessian(size):
    rng = np.random.default_rng(1)
    scales = jnp.asarray(rng.uniform(0.5, 2, size), jnp.float32)
    loss = lambda p: jnp.sum(scales * jnp.cos(p)) + 0.5 * jnp.sum(p) ** 2
    rows = [jnp.asarray(rng.normal(size=size), jnp.float32) for _ in range(3)]
    plane = Plane(*rows)
    grid = curvature_surface(loss, plane, X, Y, KEY)  # the second by 32 Lanczos steps
    dense = jax.jit(lambda x, y: jax.hessian(loss)(at(plane, x, y)))
    for i, y in enumerate(Y):
        for j, x in enumerate(X):
            values = np.linalg.eigvalsh(np.asarray(dense(x, y), np.float64))
            cell = grid.isel(y=i, x=j)
            np.testing.assert_allclose(cell["largest"], values[-1], rtol=1e-3)
            np.testing.assert_allclose(cell["smallest"], values[0], rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(cell["ratio"], abs(values[0] / values[-1]), rtol=5e-3, atol=1e-4)
            np.testing.assert_allclose(cell["loss"], loss(at(plane, x, y)), rtol=1e-4)
    assert grid["converged"].all()
    assert (grid["residual"] < 0.1).all()


def test_curvature_surface_ratio_is_zero_without_curvature_and_nan_without_loss():
    level = curvature_surface(jnp.sum, PLANE, X, Y, KEY)
    np.testing.assert_array_equal(level["ratio"], 0)
    lost = curvature_surface(lambda p: jnp.sum(p**2) + jnp.log(p[0]), PLANE, np.array([-1.0, 1.0]), Y, KEY)
    np.testing.assert_array_equal(np.isnan(lost["ratio"]), np.isnan(lost["loss"]))
    assert np.isnan(lost["ratio"].values[:, 0]).all()


@settings(derandomize=True, deadline=None, max_examples=8)
@given(st.floats(-3, 3), st.floats(1e-3, 1e3), st.floats(2, 50))
def test_fitted_range_of_a_paraboloid(offset, steep, multiple):
    # The minimum is at -offset, so the window is not centred.
    numbers = jnp.array([offset, steep])  # an array, so that one program serves all cases
    loss = lambda p: 1 + (p[0] + numbers[0]) ** 2 + numbers[1] * p[1] ** 2
    (left, right), (low, high) = fitted_range(loss, PLANE, multiple=multiple)
    wanted = multiple * (1 + offset**2)
    reach = np.sqrt(wanted - 1)
    np.testing.assert_allclose([left, right], [-reach - offset, reach - offset], rtol=5e-3, atol=5e-3 * reach)
    across = np.sqrt((wanted - 1 - offset**2) / steep)
    np.testing.assert_allclose([low, high], [-across, across], rtol=2e-3)


def test_fitted_range_ends_where_the_loss_is_not_finite():
    loss = lambda p: 1 + 0.01 * (p[0] ** 2 + p[1] ** 2) + 0 * jnp.log(p[0] + 2)
    (left, right), _ = fitted_range(loss, PLANE)
    np.testing.assert_allclose([left, right], [-2, 30], rtol=2e-3)


def test_fitted_range_reports_why_it_fails():
    with pytest.raises(ValueError, match="along v the loss never reaches 10"):
        fitted_range(lambda p: 1 + p[0] ** 2, PLANE)
    with pytest.raises(ValueError, match=r"centre is 0, which is not below the 0 wanted.*`level`"):
        fitted_range(lambda p: p[0] ** 2 + p[1] ** 2, PLANE)
    with pytest.raises(ValueError, match="centre is nan"):
        fitted_range(lambda p: p[0] * jnp.nan, PLANE)
    (left, right), _ = fitted_range(lambda p: {"loss": p[0] ** 2 + p[1] ** 2}, PLANE, level=4.0)
    np.testing.assert_allclose([left, right], [-2, 2], rtol=2e-3)


def counting(fn):
    """The function, and the list of points at which it was evaluated."""
    seen = []

    def counted(params):
        seen_here = lambda p: seen.append(tuple(np.asarray(p).tolist()))
        jax.debug.callback(seen_here, params)
        return fn(params)

    return counted, seen


@pytest.mark.parametrize("factor", [2, 3])
def test_refined_evaluates_new_cells_only(factor):
    coarse = surface(ripple, PLANE, X, Y)
    counted, seen = counting(ripple)
    finer = refined(coarse, counted, PLANE, factor, chunk=1)
    jax.effects_barrier()
    columns, rows = factor * (len(X) - 1) + 1, factor * (len(Y) - 1) + 1
    assert finer["loss"].shape == (rows, columns)
    assert len(seen) == len(set(seen)) == rows * columns - len(X) * len(Y)
    direct = surface(ripple, PLANE, finer["x"].values, finer["y"].values)
    np.testing.assert_allclose(finer["loss"], direct["loss"], rtol=1e-6)
    np.testing.assert_allclose(finer["x"], np.linspace(-1, 2, columns), rtol=1e-12)
    np.testing.assert_array_equal(finer["loss"][::factor, ::factor], coarse["loss"])
    np.testing.assert_array_equal(finer["x"][::factor], X)
    assert finer.attrs == coarse.attrs


def test_refined_twice_equals_factor_four_and_keeps_paths():
    measures = lambda p: {"loss": ripple(p), "point": p}
    coarse = surface(measures, PLANE, X, Y).assign(path_x=("step", np.arange(3.0)))
    twice = refined(refined(coarse, measures, PLANE), measures, PLANE)
    direct = surface(measures, PLANE, twice["x"].values, twice["y"].values)
    assert twice["loss"].shape == (9, 13)
    for name in ("loss", "point"):
        np.testing.assert_allclose(twice[name], direct[name], rtol=1e-6)
    np.testing.assert_array_equal(twice["path_x"], np.arange(3.0))


def test_refined_refuses_invalid_arguments():
    coarse = surface(ripple, PLANE, X, Y)
    with pytest.raises(ValueError, match="factor must be at least 2"):
        refined(coarse, ripple, PLANE, 1)
    with pytest.raises(ValueError, match=r"only a surface over \(y, x\)"):
        refined(coarse.expand_dims(run=2), ripple, PLANE)
    with pytest.raises(ValueError, match="no interval"):
        refined(coarse.isel(x=[0]), ripple, PLANE)
    with pytest.raises(ValueError, match="holds loss, but fn returns height"):
        refined(coarse, lambda p: {"height": ripple(p)}, PLANE)
