"""The loss around chosen runs, against closed forms of quadratics and against the runs themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab import rules
from gdlab.landscape import at, project
from gdlab.landscape.around_runs import ChosenRuns, curvature_on, on_lines, on_own_planes, on_shared_plane, spectra
from gdlab.landscape.trajectories import Paths, Shown, run_paths
from gdlab.landscape.trajectory_planes import own_planes, shared_plane

CURVATURES = np.array([9.0, 4.0, 1.0, 0.25, 0.0], np.float32)
RULES = {"gd": rules.gd, "heavy": rules.momentum}
SHOWN = [
    Shown("heavy", {"lr": 0.02, "beta": 0.5, "seed": 0}),
    Shown("gd", {"lr": 0.1, "seed": 1}),
    Shown("gd", {"lr": 0.01, "seed": 0}),
    Shown("heavy", {"lr": 0.05, "beta": 0.9, "seed": 0}),
]
STEPS = 30


def bowl():
    """sum_i h_i x_i^2 / 2, the params in two leaves."""

    def loss(params, batch):
        x = jnp.concatenate([params["w"].ravel(), params["b"]])
        return 0.5 * jnp.sum(jnp.asarray(CURVATURES) * x**2)

    def start(key):
        x = jax.random.normal(key, (5,))
        return {"w": x[:4].reshape(2, 2), "b": x[4:]}

    return gdlab.Problem(init=start, loss=loss)


def height(positions):
    """The loss at positions [..., 5] of `ravel_pytree`, whose first leaf is b."""
    h = np.concatenate([CURVATURES[4:], CURVATURES[:4]])
    return 0.5 * np.sum(h * np.asarray(positions, np.float64) ** 2, axis=-1)


@pytest.fixture(scope="module")
def scene():
    return ChosenRuns(bowl(), SHOWN, run_paths(bowl(), RULES, SHOWN, steps=STEPS))


def test_run_paths_keep_the_order_of_the_runs(scene):
    for one, path in zip(SHOWN, scene.paths.positions, strict=True):
        own = {name: value for name, value in one.values.items() if name != "seed"}
        for steps in (0, 7, STEPS):
            trace = gdlab.descend(bowl(), RULES[one.rule](**own), jax.random.key(one.values["seed"]), steps=steps)
            np.testing.assert_allclose(
                path[list(scene.paths.steps).index(steps)],
                np.r_[trace.params["b"], trace.params["w"].ravel()],
                rtol=1e-5,
            )


def test_run_paths_end_where_a_run_diverges():
    paths = run_paths(bowl(), RULES, [Shown("gd", {"lr": 1e30}), Shown("gd", {"lr": 0.1})], steps=10)
    lost, sound = paths.finite
    assert 0 < len(lost) < len(sound) == 11


def test_on_shared_plane_surface_and_paths(scene):
    found = shared_plane("pca", scene.loss, scene.paths)
    data = on_shared_plane(scene, "pca", found, points=(7, 5))
    assert data["loss"].dims == ("y", "x")
    assert data.sizes["run"] == 4
    assert list(data["rule"].values) == ["heavy", "gd", "gd", "heavy"]
    np.testing.assert_allclose(data["lr"], [0.02, 0.1, 0.01, 0.05])
    for y, x in [(0, 0), (4, 6), (1, 5)]:
        there = at(found.plane, float(data["x"][x]), float(data["y"][y]))
        np.testing.assert_allclose(data["loss"][y, x], height(np.r_[there["b"], there["w"].ravel()]), rtol=1e-4)
    np.testing.assert_allclose(data["path_loss"], height(scene.paths.positions), rtol=1e-4, atol=1e-6)
    # The paths lie in the window, and their distance to the plane is the variance that is not captured.
    inside = (data["path_x"] > data["x"][0]) & (data["path_x"] < data["x"][-1])
    assert bool(inside.all())
    x = scene.paths.positions.reshape(-1, 5).astype(np.float64)
    total = np.sum((x - x.mean(axis=0)) ** 2)
    np.testing.assert_allclose(
        1 - np.sum(data["path_off_plane"].values ** 2) / total, data.attrs["captured"], rtol=1e-4
    )


def test_labelled_uses_the_rule_as_dim_for_one_run_each():
    shown = [Shown("gd", {"lr": 0.1}), Shown("heavy", {"lr": 0.02})]
    scene = ChosenRuns(bowl(), shown, run_paths(bowl(), RULES, shown, steps=5))
    data = on_shared_plane(scene, "pca", shared_plane("pca", scene.loss, scene.paths), points=(3, 3))
    assert data["path_x"].dims == ("rule", "point")


def test_shared_plane_hessian_is_along_the_top_eigenvectors(scene):
    plane = shared_plane("hessian", scene.loss, scene.paths).plane
    last = scene.paths.finite[0][-1]
    np.testing.assert_allclose(np.r_[plane.centre["b"], plane.centre["w"].ravel()], last)
    np.testing.assert_allclose(np.abs(plane.u["w"].ravel()), [1, 0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(np.abs(plane.v["w"].ravel()), [0, 1, 0, 0], atol=1e-3)


def test_shared_plane_gradient_contains_gradient_and_last_step(scene):
    plane = shared_plane("gradient", scene.loss, scene.paths).plane
    last, before = scene.paths.unravel(scene.paths.finite[0][-1]), scene.paths.unravel(scene.paths.finite[0][-2])
    gradient = jax.grad(scene.loss)(last)
    ahead = jax.tree.map(lambda x, g: x + g, last, gradient)
    for point in (before, ahead):
        assert float(project(plane, point)[2]) < 1e-5
    np.testing.assert_allclose(
        sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, plane[1:]), strict=True)), 0, atol=1e-5
    )


def test_on_own_planes_scales_each_plane_to_its_path(scene):
    data = on_own_planes(scene, points=(9, 9), margin=0.25)
    assert data["loss"].dims == ("run", "y", "x")
    for axis in ("path_x", "path_y"):
        np.testing.assert_allclose(data[axis].max("point"), 1 / 1.5, rtol=1e-3)
        np.testing.assert_allclose(data[axis].min("point"), -1 / 1.5, rtol=1e-3)
    planes = own_planes(scene.paths, 0.25)
    for run in (0, 3):
        corner = planes.centre[run] - planes.u[run] + planes.v[run]
        np.testing.assert_allclose(data["loss"][run, -1, 0], height(corner), rtol=1e-4)


def test_own_planes_contain_planar_paths():
    rng = np.random.default_rng(0)
    basis, centre = np.linalg.qr(rng.normal(size=(6, 2)))[0].T, rng.normal(size=6)
    ways = rng.normal(size=(3, 20, 2)) @ basis + centre
    ways[1, 12:] = np.nan  # it ended
    paths = Paths(ways.astype(np.float32), np.arange(20), lambda flat: flat)
    planes = own_planes(paths)
    for run, path in enumerate(paths.finite):
        plane = jax.tree.map(lambda leaf, run=run: leaf[run], planes)
        off = jax.vmap(lambda flat, plane=plane: project(plane, flat)[2])(path)
        assert float(off.max()) < 1e-5


def test_own_planes_of_a_constant_path():
    paths = Paths(np.ones((1, 4, 3), np.float32), np.arange(4), lambda flat: flat)
    planes = own_planes(paths)
    np.testing.assert_allclose(np.linalg.norm(planes.u[0]), 1, rtol=1e-5)
    np.testing.assert_allclose(planes.centre[0], 1)


def test_on_lines_pass_through_the_end_of_each_run(scene):
    data = on_lines(scene, 3, "none")
    assert data["loss"].dims == ("run", "plane", "alpha")
    ends = height(np.stack(scene.ends))
    np.testing.assert_allclose(data["loss"].sel(alpha=0), np.repeat(ends[:, None], 3, axis=1), rtol=1e-4, atol=1e-6)


def test_spectra_of_a_quadratic(scene):
    data = spectra(scene)
    step = float(data["eigenvalue"][1] - data["eigenvalue"][0])
    np.testing.assert_allclose(data["density"].sum("eigenvalue") * step, 1, rtol=1e-2)
    np.testing.assert_allclose(data["trace"], CURVATURES.sum(), rtol=1e-4)
    np.testing.assert_allclose(data["top"], np.tile(CURVATURES, (4, 1)), atol=1e-3)


def test_curvature_on_of_a_singular_quadratic(scene):
    found = shared_plane("pca", scene.loss, scene.paths)
    shared = on_shared_plane(scene, "pca", found, points=(5, 5))
    data = curvature_on(scene, shared, found.plane, 3)
    assert data["curvature_ratio"].dims == ("y", "x")
    np.testing.assert_allclose(data["curvature_ratio"], 0, atol=1e-3)
    np.testing.assert_allclose(data["largest"], 9, rtol=1e-3)
    assert "path_x" in data
