"""The loss on lines, planes and flats of parameter space: each grid is a space like any other for the engine."""

from gdlab.surfaces.batch_mean import batched
from gdlab.surfaces.curvature_map import curvature_surface
from gdlab.surfaces.families import random_lines, random_planes, surfaces
from gdlab.surfaces.grids import block, line, surface
from gdlab.surfaces.ranges import fitted_range
from gdlab.surfaces.refine import refined

__all__ = [
    "batched",
    "block",
    "curvature_surface",
    "fitted_range",
    "line",
    "random_lines",
    "random_planes",
    "refined",
    "surface",
    "surfaces",
]
