"""Figures: each function takes a labelled Dataset and returns a matplotlib Figure.

Importing this package does not import matplotlib.
"""

from gdlab.figures.curvature import curvature_map
from gdlab.figures.curves import loss_curves
from gdlab.figures.gradient_flow import gradient_flow
from gdlab.figures.landscape_grid import landscape_grid
from gdlab.figures.profile import line_profile
from gdlab.figures.rule_panels import rule_panels
from gdlab.figures.saving import save
from gdlab.figures.sensitivity import lr_sensitivity
from gdlab.figures.sharpness import sharpness
from gdlab.figures.sharpness_map import sharpness_map
from gdlab.figures.spectral import spectrum
from gdlab.figures.style import RuleStyle, rule_styles
from gdlab.figures.surface import landscape
from gdlab.figures.surface_3d import surface_3d
from gdlab.figures.wording import without_notes

__all__ = [
    "RuleStyle",
    "curvature_map",
    "gradient_flow",
    "landscape",
    "landscape_grid",
    "line_profile",
    "loss_curves",
    "lr_sensitivity",
    "rule_panels",
    "rule_styles",
    "save",
    "sharpness",
    "sharpness_map",
    "spectrum",
    "surface_3d",
    "without_notes",
]
