"""The principal component plane of a path."""

import jax
import jax.numpy as jnp

from gdlab.landscape.planes import Plane, project
from gdlab.pytrees import dot, precision
from gdlab.types import Array, Params, PyTree


def pca_plane(path: PyTree, centre: Params | None = None) -> tuple[Plane, Array]:
    """The plane through `centre` nearest, in least squares, to the points of a path.

    Source: Li, Xu, Taylor, Studer, Goldstein (2018), section 7; there the centre is the last point of the path.

    `u` and `v` are the first two right singular vectors of the matrix X whose rows are the points minus the centre.
    They are orthonormal over all leaves together, with a sign such that the entry of largest magnitude (the first of
    equal ones) is positive. Points must be finite.

    If the points lie on a line or coincide, one or both directions are arbitrary, and the result is some orthonormal
    completion. If singular values s_1 = s_2 or s_2 = s_3, the plane is the one that the SVD returns.

    Args:
        path: a pytree like the params whose leaves have a leading axis of points: one path or several, concatenated.
        centre: the centre of the plane; by default the mean of the points.

    Returns:
        (plane, captured): captured = (s_1^2 + s_2^2) / sum s_i^2, the share of the mean squared distance of the points
        from the centre that lies in the plane; 1 if all points are at the centre. It is the share of the variance only
        if the centre is the mean.

    Raises:
        ValueError: no points, or fewer than two parameters.
    """
    leaves, structure = jax.tree.flatten(path)
    dtype = precision(leaves)
    points = leaves[0].shape[0]
    size = sum(leaf[0].size for leaf in leaves) if points else 0
    if points == 0 or size < 2:
        raise ValueError(f"a plane needs at least one point and two parameters, not {points} and {size}")
    if centre is None:
        centres = [jnp.mean(leaf.astype(dtype), axis=0) for leaf in leaves]
    else:
        centres = [leaf.astype(dtype) for leaf in jax.tree.leaves(centre)]
    offsets = [(leaf.astype(dtype) - c[None]).reshape(points, -1) for leaf, c in zip(leaves, centres, strict=True)]
    # An extra row of zeros does not change the plane and allows a second direction for a single point.
    matrix = jnp.pad(jnp.concatenate(offsets, axis=1), ((0, max(0, 2 - points)), (0, 0)))
    _, values, rows = jnp.linalg.svd(matrix, full_matrices=False)
    largest = jnp.take_along_axis(rows[:2], jnp.argmax(jnp.abs(rows[:2]), axis=1)[:, None], axis=1)
    directions = rows[:2] * jnp.where(largest < 0, -1, 1).astype(dtype)

    def like(row: Array) -> PyTree:
        ends = [sum(leaf[0].size for leaf in leaves[: i + 1]) for i in range(len(leaves) - 1)]
        parts = zip(jnp.split(row, ends), leaves, strict=True)
        return jax.tree.unflatten(structure, [part.reshape(leaf.shape[1:]).astype(leaf.dtype) for part, leaf in parts])

    middle = jax.tree.unflatten(structure, [c.astype(leaf.dtype) for c, leaf in zip(centres, leaves, strict=True)])
    spread = values[0] > 0
    shares = (values / jnp.where(spread, values[0], 1)) ** 2
    captured = jnp.where(spread, (shares[0] + shares[1]) / jnp.where(spread, shares.sum(), 1), 1)
    return Plane(middle, like(directions[0]), like(directions[1])), captured


def captured_share(plane: Plane, path: PyTree) -> Array:
    """The share of the mean squared distance of a path from the centre of a plane that lies in the plane.

    1 - sum off^2 / sum |x - centre|^2, off the distance from the plane; 1 if all points are at the centre. For a plane
    of `pca_plane` and its path this is `captured`.

    Args:
        plane: any plane; distances are from its centre.
        path: a pytree like the params whose leaves have a leading axis of points.
    """

    def squares(params: Params) -> tuple[Array, Array]:
        off = project(plane, params)[2]
        away = jax.tree.map(jnp.subtract, params, plane.centre)
        return off * off, dot(away, away)

    off, away = (jnp.sum(each) for each in jax.lax.map(squares, path, batch_size=16))
    return jnp.where(away > 0, 1 - off / jnp.where(away > 0, away, 1), jnp.where(jnp.isnan(away), away, 1))
