"""The plane in which a path, or several, mostly runs."""

import jax
import jax.numpy as jnp

from gdlab.landscape.planes import Plane, project
from gdlab.pytrees import dot, precision
from gdlab.types import Array, Params, PyTree


def pca_plane(path: PyTree, centre: Params | None = None) -> tuple[Plane, Array]:
    """The plane through `centre` that lies nearest, in least squares, to the points of a path.

    Source: Li, Xu, Taylor, Studer, Goldstein (2018), section 7; there the centre is the path's last point.

    With X the matrix whose rows are the points less the centre, `u` and `v` are its first two right singular vectors.
    They are orthonormal over all leaves together, and signed so that the entry of largest magnitude is positive (the
    first of them, if several are). Points must be finite.

    A path that is a line, a single point or has two points leaves one or both directions open: then they are some
    orthonormal completion. Where singular values s_1 = s_2 or s_2 = s_3, the choice is the SVD's.

    Args:
        path: a pytree like the params whose leaves have a leading axis of points: one path, or several end to end.
        centre: the plane's centre; by default the mean of the points.

    Returns:
        (plane, captured): captured = (s_1^2 + s_2^2) / sum s_i^2, the share of the points' mean squared distance from
        this same centre that lies in the plane; 1 if every point is at the centre. About the mean that is the share of
        their variance. About another point, the last of the path say, it is not: a centred PCA would tell another.

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
    # A row of zeros more moves nothing and makes room for a second direction when there is only one point.
    matrix = jnp.pad(jnp.concatenate(offsets, axis=1), ((0, max(0, 2 - points)), (0, 0)))
    _, values, rows = jnp.linalg.svd(matrix, full_matrices=False)
    largest = jnp.take_along_axis(rows[:2], jnp.argmax(jnp.abs(rows[:2]), axis=1)[:, None], axis=1)
    directions = rows[:2] * jnp.where(largest < 0, -1, 1).astype(dtype)

    def like(flat: Array) -> PyTree:
        ends = [sum(leaf[0].size for leaf in leaves[: i + 1]) for i in range(len(leaves) - 1)]
        parts = zip(jnp.split(flat, ends), leaves, strict=True)
        return jax.tree.unflatten(structure, [part.reshape(leaf.shape[1:]).astype(leaf.dtype) for part, leaf in parts])

    middle = jax.tree.unflatten(structure, [c.astype(leaf.dtype) for c, leaf in zip(centres, leaves, strict=True)])
    spread = values[0] > 0
    shares = (values / jnp.where(spread, values[0], 1)) ** 2
    captured = jnp.where(spread, (shares[0] + shares[1]) / jnp.where(spread, shares.sum(), 1), 1)
    return Plane(middle, like(directions[0]), like(directions[1])), captured


def captured_share(plane: Plane, path: PyTree) -> Array:
    """The share of a path, in mean squared distance from the centre of any plane, that lies in this plane.

    1 - sum off^2 / sum |x - centre|^2, off the distance from the plane; 1 if every point is at the centre. For a plane
    of `pca_plane` and its own path it is the `captured` that stands beside it.

    Args:
        plane: whichever; its centre is what distances are from.
        path: a pytree like the params whose leaves have a leading axis of points.
    """

    def squares(params: Params) -> tuple[Array, Array]:
        off = project(plane, params)[2]
        away = jax.tree.map(jnp.subtract, params, plane.centre)
        return off * off, dot(away, away)

    off, away = (jnp.sum(each) for each in jax.lax.map(squares, path, batch_size=16))
    return jnp.where(away > 0, 1 - off / jnp.where(away > 0, away, 1), jnp.where(jnp.isnan(away), away, 1))
