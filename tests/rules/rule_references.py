"""Reference implementations of every rule: from its paper in float64 NumPy, and optax's rule where there is one.

`REFERENCES[kind]` takes the gradients of all steps [T, 2, 3] and the initial point [2, 3]; for a rule that needs extra
arguments it takes the number of steps and the initial point, and uses `rule_problem`. It returns the updates [T, 2, 3].
`OPTAX["kind"]` or `OPTAX["kind, words"]` is a pair: hyperparameters of our rule, and the optax rule equal to it.
"""

import importlib
from pathlib import Path

_files = sorted(Path(__file__).parent.glob("references_*.py"))
_families = [importlib.import_module(f"tests.rules.{path.stem}") for path in _files]
REFERENCES = {kind: reference for family in _families for kind, reference in family.REFERENCES.items()}
OPTAX = {name: pair for family in _families for name, pair in family.OPTAX.items()}
