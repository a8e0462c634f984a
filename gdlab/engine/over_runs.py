"""Functions of one run, applied to all runs of a chunk.

A value is the same for all runs of a chunk, or for the runs of a row (it depends on the outer axes only, for training
on the seed), or differs between runs. Each is computed once, in the first two cases without an axis of runs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.engine.few_numbers import is_numbers, join, split
from gdlab.engine.layout import Layout
from gdlab.engine.loop_invariants import TracedFunction
from gdlab.engine.runs_last import vmap_last
from gdlab.types import Array, Process

# What a value depends on: nothing, the row, the run.
COMMON, ROW, RUN = 0, 1, 2


class Constants(NamedTuple):
    """The values of the points of a chunk."""

    fixed: Mapping[str, Any]
    outer: Mapping[str, Any]  # [rows]
    inner: Mapping[str, Any]  # [rows, width]

    @property
    def of_one(self) -> "Constants":
        """The shapes of the values of one run."""
        return Constants(
            {name: _without_axes(value, 0) for name, value in self.fixed.items()},
            {name: _without_axes(value, 1) for name, value in self.outer.items()},
            {name: _without_axes(value, 2) for name, value in self.inner.items()},
        )

    @property
    def point(self) -> dict[str, Array]:
        """The point of one run."""
        return {**self.fixed, **self.outer, **self.inner}

    @property
    def kinds(self) -> list[int]:
        """The kind of each value, in the order of the leaves."""
        return [COMMON] * len(self.fixed) + [ROW] * len(self.outer) + [RUN] * len(self.inner)


class OverRuns:
    """Maps functions of one run over the runs of a chunk.

    Arrays of runs have the shape [rows, width, ...], or [rows, ..., width] if `layout.axis` is "last".
    """

    def __init__(self, layout: Layout, constants: Constants) -> None:
        self._layout, self._constants = layout, constants
        self._last = layout.axis == "last" and layout.width > 1

    def arranged(self, tree: Any) -> Any:
        """Arrays [rows, width, ...] with the runs where the layout has them."""
        return jax.tree.map(lambda leaf: split(jnp.moveaxis(leaf, 1, -1), rows=1), tree) if self._last else tree

    def restored(self, tree: Any) -> Any:
        """The inverse of `arranged`."""
        if not self._last:
            return tree
        return jax.tree.map(lambda leaf: jnp.moveaxis(join(leaf, rows=1), -1, 1), tree, is_leaf=is_numbers)

    def each(self, fn: Callable[..., Any], per_run: Sequence[Any], *common: Any) -> Callable[..., Any]:
        """`fn(point, *per_run, *common)` as a function of the arguments after the point; every result is per run.

        What depends on the point only is computed here, once.
        """
        traced = self._traced(fn, *map(self._of_one, per_run), *common)
        varying = [RUN] * _count(per_run) + [COMMON] * _count(common)
        prepared, _ = traced.kinds(self._constants.kinds, varying)
        return self._over(traced, prepared, varying, [RUN] * _count(traced.result))

    def step(self, process: Process, carry: Any, first: Array) -> tuple[Callable[..., Any], Any]:
        """`process.step` as a function of carry, shared and index, and the shared values before step `first`."""
        begin = self._traced(process.begin, first)
        step = self._traced(process.step, self._of_one(carry), begin.result, first)
        carried, recorded = _count(carry), _count(step.result[2])
        # The kinds of the shared values: at first, and after any number of steps.
        begin_prepared, shared = begin.kinds(self._constants.kinds, [COMMON])
        while True:
            varying = [*[RUN] * carried, *shared, COMMON]
            prepared, results = step.kinds(self._constants.kinds, varying)
            later = [max(pair) for pair in zip(shared, results[carried : carried + len(shared)], strict=True)]
            if later == shared:
                break
            shared = later
        begun = self._over(begin, begin_prepared, [COMMON], shared)(first)
        return self._over(step, prepared, varying, [*[RUN] * carried, *shared, *[RUN] * recorded]), begun

    def _traced(self, fn: Callable[..., Any], *varying: Any) -> TracedFunction:
        return TracedFunction(lambda constants, *args: fn(constants.point, *args), self._constants.of_one, *varying)

    def _over(
        self, traced: TracedFunction, prepared: Sequence[int], varying: Sequence[int], results: Sequence[int]
    ) -> Callable[..., Any]:
        """The function of the varying arguments over all runs."""
        prepare = self._mapped(traced.prepare, self._constants.kinds, prepared, early=True)
        values = prepare(*jax.tree.leaves(self._constants))
        body = self._mapped(traced.body, [*prepared, *varying], results)
        structure = jax.tree.structure(traced.result)
        return lambda *args: jax.tree.unflatten(structure, body(*values, *jax.tree.leaves(args, is_leaf=is_numbers)))

    def _mapped(
        self, fn: Callable[..., list[Any]], args: Sequence[int], results: Sequence[int], early: bool = False
    ) -> Callable[..., Any]:
        """A function of leaves over rows and runs, from the kinds of its arguments and of its results.

        `early`: it runs once, on constants that have the runs in front.
        """
        own, made = [kind == RUN for kind in args], [kind == RUN for kind in results]
        if self._last and not early and any(own):
            row = vmap_last(fn, own, made)
        else:
            row = _mapped(fn, self._layout.width, own, made, -1 if self._last else 0)
        return _mapped(row, self._layout.rows, [kind >= ROW for kind in args], [kind >= ROW for kind in results], 0)

    def _of_one(self, tree: Any) -> Any:
        """The shapes of one run."""

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            if is_numbers(leaf):
                return jax.ShapeDtypeStruct(leaf.shape, leaf.arrays[0].dtype)
            return jax.ShapeDtypeStruct(leaf.shape[1:-1] if self._last else leaf.shape[2:], leaf.dtype)

        return jax.tree.map(shape, tree, is_leaf=is_numbers)


def _mapped(
    fn: Callable[..., list[Any]], size: int, args: Sequence[bool], results: Sequence[bool], axis: int
) -> Callable[..., list[Any]]:
    """`vmap` over the leading axis of some arguments; some results have the new axis at `axis`.

    For size 1 the function itself is called, since a batch of one is slower.
    """
    if size > 1 and any(args):
        return jax.vmap(fn, [0 if one else None for one in args], [axis if one else None for one in results])

    def single(*leaves: Any) -> list[Any]:
        found = fn(*(jax.tree.map(lambda array: array[0], leaf) if one else leaf
                     for leaf, one in zip(leaves, args, strict=True)))  # fmt: skip
        return [jax.tree.map(lambda array: _repeated(array, size, axis), leaf) if one else leaf
                for leaf, one in zip(found, results, strict=True)]  # fmt: skip

    return single


def _repeated(leaf: Any, size: int, axis: int) -> Any:
    leaf = jnp.expand_dims(leaf, axis)
    return jnp.broadcast_to(leaf, tuple(size if at == axis % leaf.ndim else n for at, n in enumerate(leaf.shape)))


def _without_axes(leaf: Any, axes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[axes:], leaf.dtype)


def _count(tree: Any) -> int:
    return len(jax.tree.leaves(tree, is_leaf=is_numbers))
