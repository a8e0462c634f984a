"""Random spaces and their points, listed in plain Python without code of the engine."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from gdlab import chain

ABSENT = object()


class Block(NamedTuple):
    """Zipped axes: one row of values per index."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Case(NamedTuple):
    """A space as a user writes it, and the blocks that are expected."""

    over: Any
    blocks: list[Block]

    def cells(self):
        """Each index with its point, without absent axes."""
        for place in itertools.product(*(range(len(block.rows)) for block in self.blocks)):
            given = [zip(b.names, b.rows[i], strict=True) for b, i in zip(self.blocks, place, strict=True)]
            yield place, {name: value for pairs in given for name, value in pairs if value is not ABSENT}


def random_case(rng, pools, most=3):
    """A random product, zip or chain; each part has up to `most` axes.

    `pools`: for each axis, lists of values. In each part, the values of an axis are from one of its lists.
    """
    if rng.random() < 0.35:
        parts = [_mapping(rng, pools, most) for _ in range(rng.integers(1, 4))]
        if rng.random() < 0.5:  # an axis that all parts share; some parts may have integers in place of floats
            ((names, value, _),) = _mapping(rng, pools, 1)
            parts = [[b for b in part if not set(b[0]) & set(names)] for part in parts]
            for part in parts:
                floats = float in (type(v) for values in pools[names[0]] for v in values)
                whole = floats and all(type(v) is int for v in value) and rng.random() < 0.3
                given = list(map(float, value)) if whole else value
                part.append((names, given, _rows([given])))
        return Case(chain(*(_written(part) for part in parts)), _chained(parts))
    part = [_distinct(*block) for block in _mapping(rng, pools, most)]  # a value twice is an error outside a chain
    return Case(_written(part), [Block(names, rows) for names, _, rows in part])


def _written(part):
    return {names[0] if len(names) == 1 else names: value for names, value, _ in part}


def _mapping(rng, pools, most):
    """Random blocks (names, what a user writes, rows): single axes, zipped rows, and zipped products."""
    names = [str(name) for name in rng.permutation(sorted(pools))[: rng.integers(1, most + 1)]]
    blocks = []
    while names:
        size = 2 if len(names) > 1 and rng.random() < 0.4 else 1
        group, names = tuple(names[:size]), names[size:]
        columns = [_values(rng, pools[name], 4) for name in group]
        if size == 1:
            blocks.append((group, columns[0], _rows(columns)))
        elif rng.random() < 0.5:
            length = min(map(len, columns))
            columns = [column[:length] for column in columns]
            blocks.append((group, list(zip(*columns, strict=True)), _rows(columns)))
        else:
            inside = dict(zip(group, columns, strict=True))
            blocks.append((group, inside, list(itertools.product(*map(one_type, columns)))))
    return blocks


def _distinct(names, value, rows):
    """The block without repeated values or rows."""
    if isinstance(value, dict):
        value = {name: [column[i] for i in _firsts(_rows([column]))] for name, column in value.items()}
        return names, value, list(itertools.product(*map(one_type, value.values())))
    value = [value[i] for i in _firsts(rows)]
    return names, value, _rows([value] if len(names) == 1 else list(zip(*value, strict=True)))


def _firsts(rows):
    keys = [tuple(map(key, row)) for row in rows]
    return [i for i, one in enumerate(keys) if one not in keys[:i]]


def _values(rng, lists, most):
    some = lists[rng.integers(len(lists))]
    return [some[i] for i in rng.integers(0, len(some), rng.integers(1, most + 1))]  # with repeated values


def _rows(columns):
    return list(zip(*map(one_type, columns), strict=True))


def one_type(values):
    """The values of an axis as a function receives them: Python numbers, all floats if one is a float."""
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if _numbers(values) and float in map(type, values):
        return [value if value is ABSENT else float(value) for value in values]
    return values


def _chained(parts):
    """The axes with equal values in all parts, and before them the points of the other axes."""
    tables = [{names: rows for names, _, rows in part} for part in parts]
    shared = [
        names
        for names, rows in tables[0].items()
        if all(names in table and _same_rows(table[names], rows) for table in tables)
    ]
    blocks, points = [], []
    for table in tables:
        own = [(names, rows) for names, rows in table.items() if names not in shared]
        rest = [[dict(zip(names, row, strict=True)) for row in rows] for names, rows in own]
        points += [{name: v for row in rows for name, v in row.items()} for rows in itertools.product(*rest)]
    names = tuple(dict.fromkeys(name for table in tables for key in table if key not in shared for name in key))
    if names:
        columns = [[point.get(name, ABSENT) for point in points] for name in names]
        blocks.append(Block(names, _once(_rows(columns))))
    for key in shared:
        together = [row for table in tables for row in table[key]]
        blocks.append(Block(key, _once(_rows(list(zip(*together, strict=True))))))
    return blocks


def _same_rows(one, other):
    return [list(map(key, column)) for column in _floats(one)] == [list(map(key, column)) for column in _floats(other)]


def _floats(rows):
    """The columns; the values of columns of numbers are floats."""
    return [one_type([*column, 0.5])[:-1] if _numbers(column) else column for column in zip(*rows, strict=True)]


def _numbers(values):
    return all(type(value) in (int, float) for value in values if value is not ABSENT)


def _once(rows):
    seen = {}
    for row in rows:
        seen.setdefault(tuple(map(key, row)), row)
    return list(seen.values())


def key(value):
    """A hashable key that differs between any two values, also between 1 and 1.0."""
    if hasattr(value, "dtype"):
        array = np.asarray(value)
        return type(value).__name__, str(array.dtype), array.shape, array.tobytes()
    if isinstance(value, tuple):
        return "tuple", *map(key, value)
    return (type(value).__name__, repr(value)) if not callable(value) else id(value)
