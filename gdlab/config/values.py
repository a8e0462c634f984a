"""Whether the values on the axes of a sweep can be taken by what they reach, and batches by the data."""

import inspect
from collections.abc import Iterator
from itertools import chain, product
from typing import Any

import numpy as np

from gdlab import register
from gdlab.config import value_types as forms
from gdlab.config.axis import Axis
from gdlab.config.choices import BATCH_SIZE, SEED, Choices
from gdlab.config.consistency import reaches
from gdlab.config.errors import shown
from gdlab.config.node import Report
from gdlab.config.value_types import Forms
from gdlab.training.sweep import PROBLEM


def check_values(choices: Choices, report: Report) -> None:
    """Every value must fit every parameter that its axis sets."""
    for axis in choices.all_axes:
        for column, (name, values) in enumerate(zip(axis.names, axis.columns, strict=True)):
            for allowed in reaches(name, choices):
                if axis.listed:
                    _listed(axis, column, name, allowed, report)
                elif axis.seeds is None:
                    _spaced(axis, np.asarray(values), allowed, report)


def taken(name: str, values: Any, choices: Choices) -> Any:
    """The values of an axis as the sweep is given them: as floats where that is what is asked for."""
    wanted = reaches(name, choices)
    if isinstance(values, range):
        return values
    if isinstance(values, np.ndarray):
        whole = wanted and all(forms.WHOLE in allowed and forms.NUMBER not in allowed for allowed in wanted)
        return values.astype(int).tolist() if whole else values
    made = [[forms.made(value, allowed) for allowed in wanted] for value in values]
    # Where one rule takes a float and another any number, both are given the float.
    return [next((v for v in row if isinstance(v, float)), row[0]) for row in made]


def check_batches(written: dict[str, Any], choices: Choices, report: Report) -> None:
    """A batch can't hold more examples than there are to train on, where the problem says how many that is."""
    problem = choices.problem
    if problem is None or report.faulty("problem") or problem.kind not in register.problems:
        return
    count = register.problems[problem.kind].info.get("examples")
    if count is None:
        return
    reads = inspect.signature(count).parameters
    every = any(parameter.kind is parameter.VAR_KEYWORD for parameter in reads.values())
    train = written.get("train")
    size = train.get(BATCH_SIZE) if isinstance(train, dict) and not report.faulty("train", BATCH_SIZE) else None
    names = {BATCH_SIZE} | {PROBLEM + name for name in problem.takes if every or name in reads}
    products = [[axis for axis in axes if not report.faulty(*axis.path)] for axes in choices.products]
    for point, places in chain.from_iterable(_points(axes, names, choices) for axes in products):
        batch = point.pop(BATCH_SIZE, size)
        if not isinstance(batch, int):
            continue
        given = {name: value for name, value in problem.values.items() if every or name in reads}
        given |= {name.removeprefix(PROBLEM): value for name, value in point.items()}
        try:
            examples = count(**given)
        except Exception as error:  # a user's function
            report.add(("problem",), f"its number of examples can't be told: {type(error).__name__}: {error}", key=True)
            return
        if batch > examples:
            path = places.get(BATCH_SIZE, ("train", BATCH_SIZE))
            report.add(path, f"a batch of {batch} is larger than the data: {problem.kind} has {examples} to train on")


def _listed(axis: Axis, column: int, name: str, allowed: Forms, report: Report) -> None:
    for row, value in enumerate(axis.columns[column]):
        path = axis.place(row, column)
        for inside, message in forms.misfits(value, allowed):
            report.add((*path, *inside), message, hint=forms.suggestion(value, allowed))
            break
        else:
            least = {SEED: 0, BATCH_SIZE: 1}.get(name, -(2**31))
            if type(forms.made(value, allowed)) is int and not least <= value < 2**31:
                limit = f"at least {least}" if name in (SEED, BATCH_SIZE) and value < least else "a number of 32 bits"
                report.add(path, f"must be {limit}, not {shown(value)}")


def _spaced(axis: Axis, values: np.ndarray, allowed: Forms, report: Report) -> None:
    if not forms.is_numeric(allowed) and forms.ANY not in allowed:
        report.add(axis.path, f"each value must be {forms.words(allowed)}, so this axis is a list")
    elif forms.WHOLE in allowed and forms.NUMBER not in allowed:
        broken = values[values != np.rint(values)]
        if broken.size:
            hint = f"these give {shown(float(broken[0]))}"
            report.add(axis.path, "each value must be a whole number", hint=hint)


def _points(axes: list[Axis], names: set[str], choices: Choices) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every combination of the values of the axes named, with their places.

    Fractions are passed over: they don't decide how much data there is.
    """
    blocks = []
    for axis in axes:
        whole = axis.listed or not isinstance(taken(axis.names[0], axis.columns[0], choices), np.ndarray)
        columns = [(i, name) for i, name in enumerate(axis.names) if whole and name in names]
        if columns:
            values = {name: taken(name, axis.columns[i], choices) for i, name in columns}
            blocks.append(
                [
                    ({n: values[n][row] for _, n in columns}, {n: axis.place(row, i) for i, n in columns})
                    for row in range(len(axis.columns[0]))
                ]
            )
    for rows in product(*blocks):
        point: dict[str, Any] = {}
        places: dict[str, Any] = {}
        for values, where in rows:
            point |= values
            places |= where
        yield point, places
