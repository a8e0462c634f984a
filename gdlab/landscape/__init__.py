"""Lines, planes and curves in parameter space on which a loss can be drawn, and where a path lies on them."""

from gdlab.landscape.curves import Curve, on_curve
from gdlab.landscape.directions import Normalise, between, gradient_direction, normalised, unit
from gdlab.landscape.flats import Flat, nearest, point
from gdlab.landscape.pca import captured_share, pca_plane
from gdlab.landscape.planes import Plane, at, coordinate_plane, cosine, project, report
from gdlab.landscape.random_directions import random_direction, random_plane
from gdlab.landscape.spanned import eigen_plane, plane_of, triangle_plane
from gdlab.landscape.weight_matching import aligned

__all__ = [
    "Curve",
    "Flat",
    "Normalise",
    "Plane",
    "aligned",
    "at",
    "between",
    "captured_share",
    "coordinate_plane",
    "cosine",
    "eigen_plane",
    "gradient_direction",
    "nearest",
    "normalised",
    "on_curve",
    "pca_plane",
    "plane_of",
    "point",
    "project",
    "random_direction",
    "random_plane",
    "report",
    "triangle_plane",
    "unit",
]
