"""gdlab, a laboratory for gradient descent.

Any update rule, swept over any hyperparameter and many seeds as one compiled program, with labelled results.
The names below are loaded when they are first used, so that importing gdlab is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdlab import config, figures, landscape, probes, problems, register, rules, schedules
    from gdlab.descent import descend
    from gdlab.engine.axes import linear, log, random
    from gdlab.engine.evaluate import evaluate
    from gdlab.results import open_results
    from gdlab.training import sweep
    from gdlab.types import Outcome, Problem, Process, Rule, Step, Stop, Trace

__version__ = "0.1.0"

_HOME = {
    "descend": "gdlab.descent",
    "evaluate": "gdlab.engine.evaluate",
    "linear": "gdlab.engine.axes",
    "log": "gdlab.engine.axes",
    "open_results": "gdlab.results",
    "random": "gdlab.engine.axes",
    "sweep": "gdlab.training",
    **dict.fromkeys(("Outcome", "Problem", "Process", "Rule", "Step", "Stop", "Trace"), "gdlab.types"),
}
_ROOMS = ("config", "figures", "landscape", "probes", "problems", "register", "rules", "schedules")

__all__ = [
    "Outcome",
    "Problem",
    "Process",
    "Rule",
    "Step",
    "Stop",
    "Trace",
    "config",
    "descend",
    "evaluate",
    "figures",
    "landscape",
    "linear",
    "log",
    "open_results",
    "probes",
    "problems",
    "random",
    "register",
    "rules",
    "schedules",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"gdlab.{name}")
    raise AttributeError(f"module 'gdlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
