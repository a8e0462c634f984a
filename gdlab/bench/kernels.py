"""Count the kernels of one step in the text of a compiled program (optimised HLO)."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Instructions that compute nothing, or whose work is that of the computations they call.
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "reshape", "copy", "copy-start", "copy-done"),
    *("while", "call", "conditional", "async-start", "async-update", "async-done", "after-all", "add-dependency"),
    *("opt-barrier", "partition-id", "replica-id"),
}
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^  (?:ROOT )?%?[\w.\-]+ = (.*)$")
_OPERATION = re.compile(r"[^ ]* ?([a-z][a-z0-9\-]*)\(")
_TRIPS = re.compile(r'"known_trip_count":\s*\{"n":"(\d+)"\}')
_BODY = re.compile(r"body=%?([\w.\-]+)")
_CALLED = re.compile(r"(?:to_apply|calls)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}|(?:true|false)_computation=%?([\w.\-]+)")


class Loop(NamedTuple):
    """A loop of a program."""

    trips: int | None  # the number of iterations; None: not known before the program runs
    kernels: int  # of one iteration; those of an inner loop count once for each of its iterations, or once if unknown
    depth: int  # 1: in no other loop


class _Instruction(NamedTuple):
    operation: str
    text: str


def kernels_per_step(text: str, steps: int) -> int | None:
    """The number of kernels that one step takes: fusions, matrix products, convolutions, custom calls and so on.

    Copies are not counted. The loop over the steps is the one with `steps` iterations and the most kernels. If there is
    none, it is the innermost one whose number of iterations the compiler does not know: loops within a step, such as
    those over the elements of a sequence, have a constant number. None if there is no such loop. The compiler replaces
    a loop of one step by its body, so `steps` should be at least 2.

    Args:
        text: the optimised HLO, `jax.stages.Compiled.as_text()`.
        steps: the number of steps that one call of the program takes.
    """
    found = list(loops(text))
    exact = [loop for loop in found if loop.trips == steps]
    if exact:
        return max(loop.kernels for loop in exact)
    unknown = [loop for loop in found if loop.trips is None]
    return max(unknown, key=lambda loop: loop.depth).kernels if unknown else None


def loops(text: str) -> Iterator[Loop]:
    """Every loop of a program, outer loops first."""
    entry, computations = _parsed(text)
    yield from _loops_in(entry, computations, 1)


def _loops_in(name: str, computations: Mapping[str, list[_Instruction]], depth: int) -> Iterator[Loop]:
    for instruction in computations[name]:
        if instruction.operation == "while":
            body = _BODY.search(instruction.text)
            assert body is not None
            yield Loop(_trips(instruction), _kernels(body[1], computations), depth)
            yield from _loops_in(body[1], computations, depth + 1)
        else:
            for called in _called(instruction):
                yield from _loops_in(called, computations, depth)


def _kernels(name: str, computations: Mapping[str, list[_Instruction]]) -> int:
    """The kernels of one evaluation of a computation; of a conditional, those of its longest branch."""
    count = 0
    for instruction in computations[name]:
        if instruction.operation == "while":
            body = _BODY.search(instruction.text)
            assert body is not None
            count += (_trips(instruction) or 1) * _kernels(body[1], computations)
        elif instruction.operation == "conditional":
            count += max(_kernels(branch, computations) for branch in _called(instruction))
        elif called := _called(instruction):
            count += sum(_kernels(one, computations) for one in called)
        else:
            count += instruction.operation not in _FREE
    return count


def _called(instruction: _Instruction) -> list[str]:
    """The computations that a call or a conditional evaluates. What a fusion or a reduction applies is one kernel."""
    if instruction.operation in ("call", "async-start"):
        return [match[1] for match in _CALLED.finditer(instruction.text)]
    if instruction.operation == "conditional":
        found = [match[1] or match[2] for match in _BRANCHES.finditer(instruction.text)]
        return [name.strip().removeprefix("%") for names in found for name in names.split(",")]
    return []


def _trips(instruction: _Instruction) -> int | None:
    known = _TRIPS.search(instruction.text)
    return int(known[1]) if known else None


def _parsed(text: str) -> tuple[str, dict[str, list[_Instruction]]]:
    """The name of the entry computation, and the instructions of each computation."""
    computations: dict[str, list[_Instruction]] = {}
    entry, inside = "", None
    for line in text.splitlines():
        if opened := _COMPUTATION.match(line):
            inside = computations.setdefault(opened[1], [])
            entry = opened[1] if line.startswith("ENTRY") else entry
        elif line == "}":
            inside = None
        elif inside is not None and (found := _INSTRUCTION.match(line)):
            inside.append(_Instruction(_operation(found[1]), found[1]))
    if not entry:
        raise ValueError("this is not the text of a compiled program: it has no ENTRY computation")
    return entry, computations


def _operation(instruction: str) -> str:
    """The name of the operation in "TYPE OPERATION(OPERANDS), ..."; a type of several arrays is in parentheses."""
    at = 0
    if instruction.startswith("("):
        depth = 0
        for at, character in enumerate(instruction):  # noqa: B007
            depth += (character == "(") - (character == ")")
            if not depth:
                break
    found = _OPERATION.match(instruction, at)
    if found is None:
        raise ValueError(f"not an instruction of HLO: {instruction}")
    return found[1]
