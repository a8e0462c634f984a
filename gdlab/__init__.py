"""gdlab, a toolkit for studying gradient descent.

It sweeps any update rule over any hyperparameter and many seeds as one compiled program and returns labelled arrays.
The names below are imported on first use, so `import gdlab` is fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdlab import config, curvature, figures, landscape, problems, register, rules, schedules, search
    from gdlab import landscape as surfaces
    from gdlab.analysis import claims
    from gdlab.analysis.tuning_budget import expected_best, seed_interval
    from gdlab.engine.axes import linear, log, random, sobol
    from gdlab.engine.devices import use_all_cores
    from gdlab.engine.evaluate import evaluate
    from gdlab.engine.space import chain
    from gdlab.experiment.results import open_results
    from gdlab.figures import export as exports
    from gdlab.landscape import connectivity
    from gdlab.training import probes
    from gdlab.training.descent import descend
    from gdlab.training.kernel import kernel
    from gdlab.training.sweep import sweep
    from gdlab.types import Metric, Outcome, Problem, Process, Rule, Step, Stop, Trace, maximise, minimise

__version__ = "0.1.0"

# Public name -> the module that defines it.
_DEFINED_IN = {
    "chain": "gdlab.engine.space",
    "descend": "gdlab.training.descent",
    "evaluate": "gdlab.engine.evaluate",
    "expected_best": "gdlab.analysis.tuning_budget",
    "kernel": "gdlab.training.kernel",
    "linear": "gdlab.engine.axes",
    "log": "gdlab.engine.axes",
    "open_results": "gdlab.experiment.results",
    "random": "gdlab.engine.axes",
    "seed_interval": "gdlab.analysis.tuning_budget",
    "sobol": "gdlab.engine.axes",
    "sweep": "gdlab.training.sweep",
    "use_all_cores": "gdlab.engine.devices",
    **dict.fromkeys(("Metric", "Outcome", "Problem", "Process", "Rule", "Step", "Stop", "Trace"), "gdlab.types"),
    **dict.fromkeys(("maximise", "minimise"), "gdlab.types"),
}
# Public name of a module -> its path. `surfaces`, `exports`, `connectivity`, `claims` and `probes` are short names.
_MODULES = {
    **{name: f"gdlab.{name}" for name in ("config", "curvature", "figures", "landscape", "problems", "register")},
    **{name: f"gdlab.{name}" for name in ("rules", "schedules", "search")},
    "claims": "gdlab.analysis.claims",
    "connectivity": "gdlab.landscape.connectivity",
    "exports": "gdlab.figures.export",
    "probes": "gdlab.training.probes",
    "surfaces": "gdlab.landscape",
}

__all__ = [
    "Metric",
    "Outcome",
    "Problem",
    "Process",
    "Rule",
    "Step",
    "Stop",
    "Trace",
    "chain",
    "claims",
    "config",
    "connectivity",
    "curvature",
    "descend",
    "evaluate",
    "expected_best",
    "exports",
    "figures",
    "kernel",
    "landscape",
    "linear",
    "log",
    "maximise",
    "minimise",
    "open_results",
    "probes",
    "problems",
    "random",
    "register",
    "rules",
    "schedules",
    "search",
    "seed_interval",
    "sobol",
    "surfaces",
    "sweep",
    "use_all_cores",
]


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        return getattr(importlib.import_module(_DEFINED_IN[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'gdlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
