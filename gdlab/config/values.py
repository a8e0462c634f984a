"""Checks of the values on sweep axes against the parameters that they set, and of batch sizes against the data."""

import inspect
from collections.abc import Iterator, Mapping
from itertools import chain, product
from typing import Any

import numpy as np

from gdlab import register
from gdlab.config import value_types
from gdlab.config.axis import Axis
from gdlab.config.choices import BATCH_SIZE, SEED, Choices
from gdlab.config.consistency import types_set
from gdlab.config.errors import dotted, message_of, shown
from gdlab.config.kinds import rate_error
from gdlab.config.node import Path, Report
from gdlab.config.resolved_kind import ResolvedKind
from gdlab.config.value_types import ValueTypes
from gdlab.engine.axis_values import axis_values, plain, repeats
from gdlab.training.sweep import PROBLEM, rule_of


def check_values(choices: Choices, report: Report) -> None:
    """Every value must be valid for every parameter that its axis sets."""
    for axis in choices.all_axes:
        for column, (name, values) in enumerate(zip(axis.names, axis.columns, strict=True)):
            for allowed in types_set(name, choices):
                if axis.listed:
                    _check_listed(axis, column, name, allowed, choices, report)
                elif axis.seeds is None:
                    _check_spaced(axis, name, np.asarray(values), allowed, choices, report)


def check_repeats(choices: Choices, report: Report) -> None:
    """A value must not be twice on an axis, nor a row on zipped axes. In a chain a repeated point is kept once."""
    for axis in choices.axes.read:
        if axis.seeds is not None or report.faulty(*axis.path) or not all(types_set(n, choices) for n in axis.names):
            continue
        columns = [converted_axis(n, values, choices) for n, values in zip(axis.names, axis.columns, strict=True)]
        columns = [axis_values(n, values) for n, values in zip(axis.names, columns, strict=True)]
        for rows in repeats(columns):
            first, again = (axis.place(row, 0)[: len(axis.path) + 1] for row in rows)
            row = [plain(column[rows[0]]) for column in columns]
            where = f", first at {dotted(first)}" if axis.listed else ""
            report.add(again, f"{shown(row if len(row) > 1 else row[0])} is given twice{where}", hint="drop one")


def converted_axis(name: str, values: Any, choices: Choices) -> Any:
    """The values of an axis as the sweep takes them: floats where a parameter that it sets is a float."""
    reached = types_set(name, choices)
    if isinstance(values, range):
        return values
    if isinstance(values, np.ndarray):
        whole = reached and all(value_types.is_whole(allowed) for allowed in reached)
        return values.astype(int).tolist() if whole else values
    converted = [[value_types.convert(value, allowed) for allowed in reached] for value in values]
    # If one rule takes a float and another any number, both get the float.
    return [next((v for v in row if isinstance(v, float)), row[0]) for row in converted]


def check_batches(written: dict[str, Any], choices: Choices, report: Report) -> None:
    """A batch size needs a problem with data, and must not exceed the number of training examples, if it is known."""
    problem = choices.problem
    if problem is None or report.faulty("problem") or problem.kind not in register.problems:
        return
    train = written.get("train")
    size = train.get(BATCH_SIZE) if isinstance(train, dict) and not report.faulty("train", BATCH_SIZE) else None
    products = [[axis for axis in axes if not report.faulty(*axis.path)] for axes in choices.products]
    count = register.problems[problem.kind].info.get("examples")
    if count is None:
        _check_has_data(problem, size, products, choices, report)
        return
    reads = inspect.signature(count).parameters
    every = any(parameter.kind is parameter.VAR_KEYWORD for parameter in reads.values())
    names = {BATCH_SIZE} | {PROBLEM + name for name in problem.takes if every or name in reads}
    fixed = {name: value for name, value in problem.values.items() if every or name in reads}
    for point, places in chain.from_iterable(_points(axes, names, choices) for axes in products):
        batch = point.pop(BATCH_SIZE, size)
        if type(batch) is not int:
            continue
        try:
            examples = count(**fixed, **_of_problem(point))
        except Exception as error:  # a user's function
            report.add(("problem",), f"its number of examples can't be computed: {message_of(error)}", key=True)
            return
        if batch > examples:
            path = places.get(BATCH_SIZE, ("train", BATCH_SIZE))
            report.add(path, f"{batch} is larger than the data: {problem.kind} has {examples} training examples")


def _check_has_data(
    problem: ResolvedKind, size: Any, products: list[list[Axis]], choices: Choices, report: Report
) -> None:
    """Report a batch size if the problem, made at the first point of the space, has no examples."""
    names = {BATCH_SIZE} | {PROBLEM + name for name in problem.takes}
    for axes in products:
        sizes = [(value, at) for axis in axes for value, at in _column(axis, BATCH_SIZE, choices)]
        given = next(((value, at) for value, at in sizes or [(size, ("train", BATCH_SIZE))] if value is not None), None)
        if given is None:
            continue
        firsts = [axis for axis in axes if names & set(axis.names)]
        point = {
            n: converted_axis(n, axis.columns[i][:1], choices)[0] for axis in firsts for i, n in enumerate(axis.names)
        }
        arguments = problem.values | _of_problem(point)
        if problem.required - set(arguments):
            return  # reported already
        try:
            made = problem.make(**arguments)
        except Exception as error:  # a user's function
            report.add(("problem",), f"it can't be made: {message_of(error)}", key=True)
            return
        if made.data is None and made.sample is None:
            report.add(given[1], f"{problem.kind} has no data to take a batch from", hint="drop batch_size")
            return


def _of_problem(point: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(PROBLEM): value for name, value in point.items() if name.startswith(PROBLEM)}


def _column(axis: Axis, name: str, choices: Choices) -> list[tuple[Any, Path]]:
    """The values of one name of an axis, each with its path; empty if the axis has no such name."""
    if name not in axis.names:
        return []
    at = axis.names.index(name)
    values = converted_axis(name, axis.columns[at], choices)
    return [(value, axis.place(row, at)) for row, value in enumerate(values)]


def _check_listed(axis: Axis, column: int, name: str, allowed: ValueTypes, choices: Choices, report: Report) -> None:
    for row, value in enumerate(axis.columns[column]):
        path = axis.place(row, column)
        converted, errors = value_types.validate(value, allowed)
        if errors:
            inside, message = errors[0]
            report.add((*path, *inside), message, hint=value_types.suggestion(value, allowed))
            continue
        if error := _rate_error(name, value, choices):
            report.add(path, error)
        least = {SEED: 0, BATCH_SIZE: 1}.get(name, -(2**31))
        if type(converted) is int and not least <= value < 2**31:
            limit = f"at least {least}" if name in (SEED, BATCH_SIZE) and value < least else "a number of 32 bits"
            report.add(path, f"must be {limit}, not {shown(value)}")


def _rate_error(name: str, value: Any, choices: Choices) -> str:
    """The error in a value of an axis, if the axis is a learning rate; see `rate_error`."""
    return "" if name.startswith(PROBLEM) else rate_error(rule_of(choices.rules, name)[1], value)


def _check_spaced(
    axis: Axis, name: str, values: np.ndarray, allowed: ValueTypes, choices: Choices, report: Report
) -> None:
    if not value_types.is_numeric(allowed) and value_types.ANY not in allowed:
        report.add(axis.path, f"each value must be {value_types.words(allowed)}, so this axis is a list")
    elif value_types.is_whole(allowed):
        fractions = values[values != np.rint(values)]
        if fractions.size:
            report.add(axis.path, "each value must be a whole number", hint=f"one is {shown(float(fractions[0]))}")
    elif error := _rate_error(name, float(values.min()), choices):
        report.add(axis.path, error)


def _points(axes: list[Axis], names: set[str], choices: Choices) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every combination of the values of the named axes, with their paths.

    Axes of spaced floats are skipped: they don't change the number of examples.
    """
    blocks = []
    for axis in axes:
        whole = axis.listed or not isinstance(converted_axis(axis.names[0], axis.columns[0], choices), np.ndarray)
        columns = {name: _column(axis, name, choices) for name in axis.names if whole and name in names}
        if columns:
            blocks.append([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
    for rows in product(*blocks):
        point = {name: cell for row in rows for name, cell in row.items()}
        yield {name: value for name, (value, _) in point.items()}, {name: path for name, (_, path) in point.items()}
