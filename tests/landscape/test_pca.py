"""The principal plane of a path, against NumPy's SVD in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.landscape import captured_share, pca_plane, project, random_plane


def walk(points=30, seed=0):
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(points, 12)) * np.geomspace(3, 0.1, 12) + 0.3
    return np.cumsum(steps, axis=0)


def as_tree(matrix):
    matrix = jnp.asarray(matrix, jnp.float32)
    return {"b": matrix[:, :2], "w": matrix[:, 2:].reshape(-1, 5, 2)}


def as_row(params):
    return np.concatenate([np.asarray(params["b"], np.float64), np.asarray(params["w"], np.float64).ravel()])


@pytest.mark.smoke
@pytest.mark.parametrize("centred", [True, False])
def test_pca_plane_equals_numpy(centred):
    path = walk()
    centre = path.mean(axis=0) if centred else path[-1]
    plane, captured = pca_plane(as_tree(path), None if centred else jax.tree.map(lambda x: x[-1], as_tree(path)))
    _, values, rows = np.linalg.svd(path - centre, full_matrices=False)
    for row, direction in zip(rows, (plane.u, plane.v), strict=False):
        signed = row * np.sign(row[np.abs(row).argmax()])
        np.testing.assert_allclose(as_row(direction), signed, atol=2e-5)
    np.testing.assert_allclose(as_row(plane.centre), centre, atol=1e-4)
    np.testing.assert_allclose(captured, (values[:2] ** 2).sum() / (values**2).sum(), rtol=1e-5)


def test_captured_share_is_about_the_centre_of_the_plane():
    path = as_tree(walk())
    last = jax.tree.map(lambda x: x[-1], path)
    for centre in (None, last):
        plane, captured = pca_plane(path, centre)
        _, _, off = jax.vmap(project, (None, 0))(plane, path)
        total = sum(
            ((np.asarray(leaf, np.float64) - np.asarray(c)) ** 2).sum()
            for leaf, c in zip(jax.tree.leaves(path), jax.tree.leaves(plane.centre), strict=True)
        )
        np.testing.assert_allclose(captured, 1 - (np.asarray(off) ** 2).sum() / total, rtol=1e-4)
    assert float(pca_plane(path)[1]) != pytest.approx(float(pca_plane(path, last)[1]), abs=1e-4)


def test_pca_plane_contains_a_planar_path():
    angle = np.linspace(0, 5, 40)[:, None]
    basis = np.random.default_rng(3).normal(size=(2, 12))
    path = as_tree(7.0 + angle * np.cos(angle) * basis[:1] + np.sin(angle) * basis[1:])
    plane, captured = pca_plane(path)
    _, _, off = jax.vmap(project, (None, 0))(plane, path)
    assert captured == pytest.approx(1, abs=1e-6)
    assert off.max() < 1e-4


@pytest.mark.parametrize("points", [1, 2, 5])
def test_pca_plane_of_degenerate_paths_is_orthonormal(points):
    start, stride = np.arange(12.0), np.ones(12) * (points == 2)
    plane, captured = pca_plane(as_tree(start + np.arange(points)[:, None] * stride))
    u, v = as_row(plane.u), as_row(plane.v)
    np.testing.assert_allclose([u @ u, v @ v, u @ v], [1, 1, 0], atol=1e-6)
    assert captured == 1
    if points == 2:
        np.testing.assert_allclose(u, np.ones(12) / np.sqrt(12), atol=1e-6)


def test_pca_plane_jit_and_vmap():
    paths = [as_tree(walk(seed=seed)) for seed in range(3)]
    together = jax.jit(jax.vmap(pca_plane))(jax.tree.map(lambda *x: jnp.stack(x), *paths))
    for i, path in enumerate(paths):
        for mapped, alone in zip(jax.tree.leaves(together), jax.tree.leaves(pca_plane(path)), strict=True):
            np.testing.assert_allclose(mapped[i], alone, atol=1e-4)


def test_pca_plane_captured_does_not_overflow():
    plane, captured = pca_plane(as_tree(1e25 * walk()))
    assert captured == pytest.approx(float(pca_plane(as_tree(walk()))[1]), rel=1e-4)
    assert np.isfinite(as_row(plane.u)).all()


@pytest.mark.parametrize(("points", "size"), [(0, 3), (4, 1)])
def test_pca_plane_refuses_too_few_points_or_parameters(points, size):
    with pytest.raises(ValueError, match="at least one point and two parameters"):
        pca_plane(jnp.zeros((points, size)))


@pytest.mark.slow
def test_captured_share_equals_pca_and_is_smaller_for_other_planes():
    path = as_tree(walk())
    last = jax.tree.map(lambda x: x[-1], path)
    for centre in (None, last):
        plane, captured = pca_plane(path, centre)
        assert float(captured_share(plane, path)) == pytest.approx(float(captured), rel=1e-4)
        other = random_plane(jax.random.key(0), plane.centre, "none")
        basis, _ = np.linalg.qr(np.stack([as_row(other.u), as_row(other.v)], axis=1))
        offsets = walk() - as_row(plane.centre)
        share = ((offsets @ basis) ** 2).sum() / (offsets**2).sum()
        assert float(captured_share(other, path)) == pytest.approx(share, abs=1e-4)
        assert share < captured
    assert captured_share(plane, jax.tree.map(lambda x: x[-1:], path)) == 1
