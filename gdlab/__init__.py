"""gdlab, a laboratory for gradient descent.

Any update rule, swept over any hyperparameter and many seeds as one compiled program, with labelled results.
The names below are loaded when they are first used, so that importing gdlab is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdlab import (
        config,
        connectivity,
        curvature,
        exports,
        figures,
        landscape,
        probes,
        problems,
        register,
        rules,
        schedules,
        search,
        surfaces,
    )
    from gdlab.descent import descend
    from gdlab.engine.axes import linear, log, random, sobol
    from gdlab.engine.evaluate import evaluate
    from gdlab.engine.space import chain
    from gdlab.results import open_results
    from gdlab.training import sweep
    from gdlab.tuning_budget import expected_best, seed_interval
    from gdlab.types import Outcome, Problem, Process, Rule, Step, Stop, Trace

__version__ = "0.1.0"

_HOME = {
    "chain": "gdlab.engine.space",
    "descend": "gdlab.descent",
    "evaluate": "gdlab.engine.evaluate",
    "expected_best": "gdlab.tuning_budget",
    "linear": "gdlab.engine.axes",
    "log": "gdlab.engine.axes",
    "open_results": "gdlab.results",
    "random": "gdlab.engine.axes",
    "seed_interval": "gdlab.tuning_budget",
    "sobol": "gdlab.engine.axes",
    "sweep": "gdlab.training",
    **dict.fromkeys(("Outcome", "Problem", "Process", "Rule", "Step", "Stop", "Trace"), "gdlab.types"),
}
_ROOMS = (
    *("config", "connectivity", "curvature", "exports", "figures", "landscape", "probes", "problems"),
    *("register", "rules", "schedules", "search", "surfaces"),
)

__all__ = [
    "Outcome",
    "Problem",
    "Process",
    "Rule",
    "Step",
    "Stop",
    "Trace",
    "chain",
    "config",
    "connectivity",
    "curvature",
    "descend",
    "evaluate",
    "expected_best",
    "exports",
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
    "search",
    "seed_interval",
    "sobol",
    "surfaces",
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
