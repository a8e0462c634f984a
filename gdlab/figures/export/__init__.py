"""Export of landscapes as files for ParaView, interactive HTML pages and movies.

Importing this package imports neither matplotlib nor plotly.
"""

from gdlab.figures.export.movie import to_movie
from gdlab.figures.export.page import to_page
from gdlab.figures.export.vtk import to_vtk

__all__ = ["to_movie", "to_page", "to_vtk"]
