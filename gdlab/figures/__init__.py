"""Figures: a labelled Dataset in, a matplotlib Figure out. Importing this does not import matplotlib."""

from gdlab.figures.curves import loss_curves
from gdlab.figures.rule_panels import rule_panels
from gdlab.figures.saving import save
from gdlab.figures.sensitivity import lr_sensitivity
from gdlab.figures.style import RuleStyle, rule_styles
from gdlab.figures.surface import landscape

__all__ = ["RuleStyle", "landscape", "loss_curves", "lr_sensitivity", "rule_panels", "rule_styles", "save"]
