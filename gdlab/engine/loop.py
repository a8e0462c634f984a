"""The loops over the steps of a process: for one run, and for all runs of a chunk."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.engine.few_numbers import is_numbers, join
from gdlab.engine.fill_values import fill_unless
from gdlab.engine.layout import Layout
from gdlab.engine.over_runs import Constants, OverRuns
from gdlab.types import Array, Point, Process


def advance(process: Process, point: Point, carry: Any) -> tuple[Any, Mapping[str, Array]]:
    """All steps of one run, with a check after each: the carry, and the records [ceil(steps / every), ...].

    Works under jit, vmap and grad.
    """
    every = process.every

    def one(state: tuple[Any, Any], index: Array) -> tuple[tuple[Any, Any], Any]:
        before, shared = state
        after, shared, record = process.step(point, before, shared, index)
        checked, _ = process.check(point, before, after, index)
        alive = process.status(before)["alive"]
        return (checked, shared), {name: fill_unless(alive, jnp.asarray(value)) for name, value in record.items()}

    def within(state: tuple[Any, Any], index: Array) -> tuple[tuple[Any, Any], Any]:
        if process.steps % every == 0:
            return one(state, index)
        _, records = jax.eval_shape(one, state, index)
        beyond = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), records)
        return jax.lax.cond(index < process.steps, one, lambda state, index: (state, beyond), state, index)

    def block(state: tuple[Any, Any], at: Array) -> tuple[tuple[Any, Any], Any]:
        if every == 1:
            return one(state, at)
        state, records = jax.lax.scan(within, state, at + jnp.arange(every, dtype=jnp.int32))
        return state, jax.tree.map(lambda record: record[0], records)

    starts = every * jnp.arange(-(-process.steps // every), dtype=jnp.int32)
    (carry, _), records = jax.lax.scan(block, (carry, process.begin(point, jnp.asarray(0, jnp.int32))), starts)
    return carry, records


def segment(
    process: Process, layout: Layout, constants: Constants, carry: Any, first: Array
) -> tuple[Any, dict[str, Array], dict[str, Array]]:
    """The steps of one segment, from step `first`, for all runs of a chunk: carry, records and status.

    The runs take `layout.check_every` steps, then all are checked. If a run has ended in these steps, all are repeated
    with a check after each step. The loop over the steps is the same in both cases, only its length differs, so both
    compute the same bits.

    Args:
        constants: the values of the points.
        carry: [rows, width, ...].
        first: the number of the first step, a multiple of `every`.

    Returns:
        The carry, records [rows, width, blocks, ...], status [rows, width].
    """
    every, blocks = process.every, layout.blocks
    end = jnp.minimum(first + blocks * every, process.steps).astype(jnp.int32)
    runs = OverRuns(layout, constants)
    carry = runs.arranged(carry)
    step, shared = runs.step(process, carry, first)
    check = runs.each(process.check, (carry, carry), first)
    status = runs.each(lambda point, carry: dict(process.status(carry)), (carry,))
    shapes = jax.eval_shape(lambda *args: _arrays(step(*args)[2]), carry, shared, first)
    # Where steps are not recorded, their records are written to an additional slot at the end.
    slots = 0 if not shapes else blocks if every == 1 else blocks + 1
    buffers = {name: jnp.zeros((slots, *leaf.shape), leaf.dtype) for name, leaf in shapes.items()}
    written = Records(buffers, jnp.zeros((slots, layout.rows, layout.width), bool))

    def taken(state: tuple[Any, Any, Records], at: Array, count: Array) -> tuple[Any, Any, Records]:
        """Some steps without a check."""
        alive = status(state[0])["alive"]

        def one(index: Array, state: tuple[Any, Any, Records]) -> tuple[Any, Any, Records]:
            carry, shared, written = state
            carry, shared, record = step(carry, shared, index)
            if record:
                kept = True if every == 1 else index % every == 0
                written = written.put(jnp.where(kept, (index - first) // every, blocks), _arrays(record), alive)
            return carry, shared, written

        return jax.lax.fori_loop(at, at + count, one, state)

    def checked_each(index: Array, state: tuple[Any, Any, Records]) -> tuple[Any, Any, Records]:
        after, shared, written = taken(state, index, jnp.asarray(1, jnp.int32))
        return check(state[0], after, index)[0], shared, written

    def checked_block(state: tuple[Any, ...]) -> tuple[Any, ...]:
        at, repeated_until, carry, shared, written = state
        count = jnp.minimum(jnp.where(at < repeated_until, 1, layout.check_every), end - at)
        after, later, written = taken((carry, shared, written), at, count)
        after, ended = check(carry, after, at + count - 1)
        repeat = ended.any() & (count > 1)
        carry, shared = jax.tree.map(lambda old, new: jax.lax.select(repeat, old, new), (carry, shared), (after, later))
        repeated_until = jnp.where(repeat, at + count, repeated_until)
        return jnp.where(repeat, at, at + count), repeated_until, carry, shared, written

    if layout.check_every == 1:
        carry, _, written = jax.lax.fori_loop(first, end, checked_each, (carry, shared, written))
    else:
        begun = (first, first, carry, shared, written)
        *_, carry, _, written = jax.lax.while_loop(lambda state: state[0] < end, checked_block, begun)
    records = Records({n: jax.vmap(runs.restored)(value) for n, value in written.values.items()}, written.valid)
    return runs.restored(carry), records.of_runs(blocks), status(carry)


def _arrays(tree: Any) -> Any:
    """Arrays [rows, ...]; numbers that are kept apart are joined."""
    return jax.tree.map(lambda leaf: join(leaf, rows=1), tree, is_leaf=is_numbers)


class Records(NamedTuple):
    """The records of a segment."""

    values: Mapping[str, Array]  # [slots, rows, width, ...] each, or with the runs last
    valid: Array  # [slots, rows, width]; whether the run was alive

    def put(self, slot: Array, record: Mapping[str, Array], alive: Array) -> "Records":
        """With a record in a slot."""
        put = jax.lax.dynamic_update_index_in_dim
        return Records({name: put(self.values[name], new, slot, 0) for name, new in record.items()},
                       put(self.valid, alive, slot, 0))  # fmt: skip

    def of_runs(self, blocks: int) -> dict[str, Array]:
        """The records in the first slots, [rows, width, blocks, ...], with fill values after the end of a run."""
        valid = self.valid[:blocks]
        return {n: jnp.moveaxis(fill_unless(valid, value[:blocks]), 0, 2) for n, value in self.values.items()}
