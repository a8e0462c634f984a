"""Losses on lines, planes and curves in parameter space, and projections of the paths of runs."""

from gdlab.landscape.batch_mean import batched
from gdlab.landscape.curvature_surface import curvature_surface
from gdlab.landscape.curves import Curve, on_curve
from gdlab.landscape.directions import Normalise, between, gradient_direction, normalised, unit
from gdlab.landscape.flats import Flat, nearest, point
from gdlab.landscape.pca import captured_share, pca_plane
from gdlab.landscape.planes import Plane, at, coordinate_plane, cosine, project, report
from gdlab.landscape.random_directions import random_direction, random_plane
from gdlab.landscape.refine import refined
from gdlab.landscape.spanned import eigen_plane, plane_of, triangle_plane
from gdlab.landscape.surface_families import random_lines, random_planes, surfaces
from gdlab.landscape.surface_grids import block, line, surface
from gdlab.landscape.weight_matching import aligned
from gdlab.landscape.window import fitted_range

__all__ = [
    "Curve",
    "Flat",
    "Normalise",
    "Plane",
    "aligned",
    "at",
    "batched",
    "between",
    "block",
    "captured_share",
    "coordinate_plane",
    "cosine",
    "curvature_surface",
    "eigen_plane",
    "fitted_range",
    "gradient_direction",
    "line",
    "nearest",
    "normalised",
    "on_curve",
    "pca_plane",
    "plane_of",
    "point",
    "project",
    "random_direction",
    "random_lines",
    "random_plane",
    "random_planes",
    "refined",
    "report",
    "surface",
    "surfaces",
    "triangle_plane",
    "unit",
]
