"""Planes in parameter space on which a loss can be drawn, and where a path lies on them."""

from gdlab.landscape.pca import pca_plane
from gdlab.landscape.planes import Plane, at, coordinate_plane, cosine, project
from gdlab.landscape.random_directions import Normalise, random_plane

__all__ = ["Normalise", "Plane", "at", "coordinate_plane", "cosine", "pca_plane", "project", "random_plane"]
