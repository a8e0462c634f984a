"""Hardware-independent estimate of the operations and bytes of one run, from its jaxpr."""

import hashlib
import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from types import MethodType
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.engine.convolutions import CONVOLUTION, becomes_product
from gdlab.engine.cpu_forms import faster
from gdlab.engine.fill_values import fill_dtype, host_dtype
from gdlab.engine.identity import Itself, identity

# The name, in the jaxpr of a run, of the function that takes one step and checks it.
STEP = "gdlab_step"
# Primitives that call a Python function on the host: `jax.pure_callback`, `io_callback`, `jax.debug.callback`, ...
CALLBACKS = ("pure_callback", "io_callback", "debug_callback", "debug_print")
# The address of a function in the text of a program; it differs between processes.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Cost(NamedTuple):
    """Upper bounds for one run, assuming that runs share no work and that XLA fuses no operations."""

    once: float = 0.0  # operations of its start and its finish together
    block: float = 0.0  # operations between two records
    carry: int = 0  # bytes of its state between steps
    record: int = 0  # bytes of a record
    result: int = 0  # bytes of its final results
    live: int = 0  # the largest number of bytes that are live at the same time
    convolved: float = 0.0  # operations between two records of convolutions that are no products on a CPU
    faster: bool = False  # whether a CPU computes some of its operations in another form
    # Whether a step may be repeated, and continued from numbers that are not finite: it calls no Python function, and
    # it has no loop that such numbers might keep running.
    repeatable: bool = False
    program: str = ""  # a digest of the program and of the arrays in it
    data: str = ""  # a digest of these arrays only
    callbacks: tuple[Hashable, ...] = ()  # the Python functions that it calls; the digest does not include them
    stored_record: int = 0  # bytes of a record in a store, uncompressed
    stored_result: int = 0  # bytes of its final results in a store, uncompressed

    def steps(self, blocks: int) -> float:
        """The number of operations of a run with this many records."""
        return self.once + blocks * self.block


def cost(whole: Any, trees: Sequence[Any] = (), every: int = 1) -> Cost:
    """The cost of a run.

    Args:
        whole: the closed jaxpr that starts the run, takes one step (the call named `STEP`, which returns the carry, a
            record and other values), and finishes it.
        trees: the structures of the carry, of a record (if there are steps), and of the results.
        every: the number of steps between two records.
    """
    step = next((eqn for eqn in whole.jaxpr.eqns if eqn.params.get("name") == STEP), None)
    total, result = operations(whole.jaxpr), _bytes(whole.jaxpr.outvars)
    program, data = _digests(whole, [*trees, every])
    callbacks = tuple(one for tree in (whole, *trees) if hasattr(tree, "jaxpr") for one in _callbacks(tree.jaxpr))
    known = Cost(total, result=result, program=program, data=data, callbacks=callbacks)
    known = known._replace(stored_result=_bytes(whole.jaxpr.outvars, host_dtype), faster=_any_faster(whole.jaxpr))
    if step is None:
        return known._replace(live=_live(whole.jaxpr))
    inner, carried, recorded = step.params["jaxpr"].jaxpr, trees[0].num_leaves, trees[1].num_leaves
    records = step.outvars[carried : carried + recorded]
    one = operations(inner)
    return known._replace(
        once=total - one,
        block=one * every,
        carry=_bytes(step.outvars[:carried]),
        record=_bytes(records),
        live=_bytes(step.outvars[:carried]) + _live(inner),
        convolved=operations(inner, _stays_convolution) * every,
        repeatable=not callbacks and not _has(inner, "while"),
        stored_record=_bytes(records, lambda dtype: fill_dtype(host_dtype(dtype))),
    )


def _has(jaxpr: Any, name: str) -> bool:
    """Whether a jaxpr or a jaxpr inside it has a primitive of this name."""
    return any(eqn.primitive.name == name or any(_has(one, name) for one in _inner(eqn)) for eqn in jaxpr.eqns)


def _digests(closed: Any, trees: Sequence[Any]) -> tuple[str, str]:
    """Digests of the text and the arrays of a program, and of its arrays only; the same in every process."""
    text = _ADDRESS.sub("", f"{closed.jaxpr} {list(trees)}")
    arrays = [_digest(array) for one in (closed, *trees) if hasattr(one, "jaxpr") for array in _arrays(one)]
    program = hashlib.sha256(" ".join([text, *arrays]).encode()).hexdigest()
    return program, hashlib.sha256(" ".join(sorted(set(arrays))).encode()).hexdigest()


def _digest(array: Any) -> str:
    numbers = np.asarray(_numbers(array))
    digest = hashlib.sha256(f"{numbers.dtype} {numbers.shape}".encode())
    digest.update(np.ascontiguousarray(numbers).tobytes())
    return digest.hexdigest()


def _arrays(closed: Any) -> Iterator[Any]:
    """The constant arrays of a jaxpr and of the jaxprs inside it, in order."""
    yield from getattr(closed, "consts", ())
    for eqn in getattr(closed, "jaxpr", closed).eqns:
        yield from (var.val for var in eqn.invars if np.ndim(getattr(var, "val", 0)))
        for param in eqn.params.values():
            for one in param if isinstance(param, tuple | list) else (param,):
                if hasattr(one, "eqns") or hasattr(getattr(one, "jaxpr", None), "eqns"):
                    yield from _arrays(one)
                elif isinstance(one, np.ndarray | jax.Array):
                    yield one


def _callbacks(jaxpr: Any) -> Iterator[Any]:
    """Keys of the calls of Python functions, in order. They keep the functions alive."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in CALLBACKS:
            called = eqn.params.get("callback")
            called = getattr(called, "callback_func", called)  # JAX wraps the user's function
            # Each access of a bound method creates another object.
            bound = (called.__self__, called.__func__) if isinstance(called, MethodType) else (called,)
            yield tuple(map(Itself, bound)), identity({n: v for n, v in eqn.params.items() if n != "callback"})
        for inner in _inner(eqn):
            yield from _callbacks(inner)


def _numbers(const: Any) -> Any:
    keys = hasattr(const, "dtype") and jax.dtypes.issubdtype(const.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(const) if keys else const


def _any_faster(jaxpr: Any) -> bool:
    return any(faster(eqn) is not None or any(map(_any_faster, _inner(eqn))) for eqn in jaxpr.eqns)


def _stays_convolution(eqn: Any) -> bool:
    return eqn.primitive.name == CONVOLUTION and not becomes_product(eqn)


def operations(jaxpr: Any, counts: Callable[[Any], bool] = lambda eqn: True) -> float:
    """Floating-point operations: two for each multiplication of a matrix product or a convolution, one for each value
    that another primitive reads or writes.

    A loop of unknown length counts once; of the branches of a condition the most expensive counts. `counts` selects
    the equations that count.
    """
    return float(sum(_of_equation(eqn, counts) for eqn in jaxpr.eqns))


def _of_equation(eqn: Any, counts: Callable[[Any], bool]) -> float:
    name = eqn.primitive.name
    inner = list(_inner(eqn))
    if inner:
        each = [operations(jaxpr, counts) for jaxpr in inner]
        return max(each) if name == "cond" else eqn.params.get("length", 1) * sum(each)
    if not counts(eqn):
        return 0.0
    if name == "dot_general":
        ((contracted, _), _) = eqn.params["dimension_numbers"]
        depth = math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
        return 2 * depth * eqn.outvars[0].aval.size
    if name == CONVOLUTION:
        kernel = eqn.invars[1].aval
        features = kernel.shape[eqn.params["dimension_numbers"].rhs_spec[0]]
        return 2 * eqn.outvars[0].aval.size * kernel.size / features
    return float(max([0, *(_count(var) for var in (*eqn.outvars, *eqn.invars))]))


def _inner(eqn: Any) -> Iterator[Any]:
    for param in eqn.params.values():
        for one in param if isinstance(param, tuple | list) else (param,):
            if hasattr(one, "eqns"):
                yield one
            elif hasattr(one, "jaxpr") and hasattr(one.jaxpr, "eqns"):
                yield one.jaxpr


def _live(jaxpr: Any) -> int:
    """The largest number of bytes of intermediate values that are live at the same time."""
    last = {var: place for place, eqn in enumerate(jaxpr.eqns) for var in eqn.invars if not hasattr(var, "val")}
    last |= {var: len(jaxpr.eqns) for var in jaxpr.outvars if not hasattr(var, "val")}
    alive: dict[Any, int] = {}
    most = 0
    for place, eqn in enumerate(jaxpr.eqns):
        made = {var: _bytes([var]) for var in eqn.outvars if var in last}
        within = max((_live(inner) for inner in _inner(eqn)), default=0)
        most = max(most, sum(alive.values()) + max(within, sum(made.values())))
        alive = {var: size for var, size in (alive | made).items() if last[var] > place}
    return most


def _count(var: Any) -> int:
    return int(getattr(var.aval, "size", 0))


def _bytes(variables: Any, kept_as: Callable[[Any], np.dtype] = np.dtype) -> int:
    """The bytes of some variables, each in the dtype `kept_as(its dtype)`."""
    total = 0
    for var in variables:
        aval = var.aval
        if hasattr(aval, "dtype"):
            extended = jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended)
            total += aval.size * (16 if extended else kept_as(aval.dtype).itemsize)
    return total
