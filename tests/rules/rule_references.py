"""Every rule once more, from its paper, in NumPy and double precision, and the same rule of optax where there is one.

`REFERENCES[kind]` of a rule that reads nothing but gradients and parameters takes the gradients of all steps [T, 2, 3]
and the first point [2, 3]; of one that `needs` more, the number of steps and the first point, and then it asks
`rule_problem`. Either returns the updates [T, 2, 3]. `OPTAX["kind"]` or `OPTAX["kind, words"]` is hyperparameters and
the rule of optax that they make ours equal to.
"""

import importlib
from pathlib import Path

_files = sorted(Path(__file__).parent.glob("references_*.py"))
_families = [importlib.import_module(f"tests.rules.{path.stem}") for path in _files]
REFERENCES = {kind: reference for family in _families for kind, reference in family.REFERENCES.items()}
OPTAX = {name: pair for family in _families for name, pair in family.OPTAX.items()}
