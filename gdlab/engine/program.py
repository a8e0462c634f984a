"""Compile programs, and share equal ones.

Arrays that a user's functions close over (for example a data set) become arguments of the programs, so two programs are
equal exactly if their text is equal; then only one is compiled. The text does not identify the Python functions that a
program calls on the host, so programs with such calls are not shared.
"""

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec

_KEPT = 256
_compiled: OrderedDict[str, "Future[_Executable]"] = OrderedDict()
# The compiler releases the interpreter lock, so programs are compiled in parallel, and while others run.
_compilers = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="gdlab-compile")
_thread = threading.local()
_CPU = {
    # Use the widest vectors of the processor; by default XLA uses half of their width.
    "xla_cpu_prefer_vector_width": 512,
    # Programs compile in about half of the time and run as fast as at the default level, 3 ("rosenbrock", "tanh" and
    # "mlp" of `gdlab bench sweep`, where also all bits are equal); at level 0 they are three to thirty times slower.
    "xla_backend_optimization_level": 1,
}
# Matches the text of a program that calls a Python function on the host: a custom call, or a transfer on TPUs.
_CALLBACK = re.compile(r"custom_call @\w*python\w*callback|is_host_transfer = true")


class _Executable(NamedTuple):
    call: Any
    seconds: float


class Program:
    """A traced function of pytrees, compiled in the background by `compile`, or by the first call, which waits."""

    def __init__(self, lower: Callable[..., Any], consts: list[Any], result: Any, donate: int | None, key: str):
        self.result = result  # the shapes and dtypes that it returns, for all devices together
        self._lower, self._key = lower, key
        self._executable: Future[_Executable] | None = None
        self._consts, self._donate = consts, donate
        self._structure = jax.tree.structure(result)

    def compile(self) -> bool:
        """Start to compile in the background; returns whether this program was not compiled before."""
        if self._executable is not None:
            return False
        self._executable, fresh = _compile(self._lower(), self._key)
        return fresh

    def __call__(self, *args: Any) -> Any:
        held, lent = _apart(args, self._donate)
        return jax.tree.unflatten(self._structure, self._compiled.call(self._consts, held, lent))

    @property
    def _compiled(self) -> _Executable:
        if self._executable is not None and self._executable.done():
            return self._executable.result()
        began = time.perf_counter()
        self.compile()
        assert self._executable is not None
        executable = self._executable.result()
        _thread.waited = waited() + time.perf_counter() - began
        return executable

    @property
    def compile_seconds(self) -> float:
        """The seconds that compiling took; waits until it is compiled."""
        return self._compiled.seconds

    @property
    def memory(self) -> int:
        """Bytes on each device: arguments, results and temporaries; 0 if the backend does not report them."""
        analysis = self._compiled.call.memory_analysis()
        if analysis is None:
            return 0
        own = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
        return int(own + analysis.temp_size_in_bytes)

    def lowered_for(self, platforms: Sequence[str]) -> str:
        """The program lowered for other platforms ("cuda", "rocm", "tpu", "cpu"), which need not be present.

        Raises:
            NotImplementedError: JAX has no rule that lowers some operation for one of the platforms.
        """
        return str(self._lower(tuple(platforms))[0].as_text())

    @property
    def text(self) -> str:
        """The compiled HLO."""
        return str(self._compiled.call.as_text())


def waited() -> float:
    """The seconds that the calling thread has waited for programs to be compiled, since it began."""
    return float(getattr(_thread, "waited", 0.0))


def sharded_program(
    fn: Callable[..., Any],
    mesh: jax.sharding.Mesh,
    args: Sequence[Any],
    split: Sequence[bool],
    *,
    donate: int | None = None,
) -> Program:
    """A program in which each device of a mesh of one axis evaluates a function on its own part of the arguments.

    The devices never communicate.

    Args:
        fn: returns a pytree of arrays; the results of the devices are concatenated along their leading axis.
        args: pytrees of shapes, for all devices together.
        split: for each argument, whether its leading axis is divided among the devices. `fn` gets the other arguments
            whole.
        donate: the number of the argument whose memory the program may reuse.
    """
    (axis,) = mesh.axis_names
    devices = mesh.size
    local = [
        jax.tree.map(lambda leaf: _shape((leaf.shape[0] // devices, *leaf.shape[1:]), leaf), arg) if parted else arg
        for arg, parted in zip(args, split, strict=True)
    ]
    jaxpr, result = jax.make_jaxpr(fn, return_shape=True)(*local)
    consts = [jax.device_put(const, NamedSharding(mesh, PartitionSpec())) for const in jaxpr.consts]
    whole, parts = PartitionSpec(), PartitionSpec(axis)
    specs = [jax.tree.map(lambda _, parted=parted: parts if parted else whole, arg)
             for arg, parted in zip(args, split, strict=True)]  # fmt: skip
    held_specs, lent_specs = _apart(specs, donate)
    order = [position == donate for position, arg in enumerate(args) for _ in jax.tree.leaves(arg)]

    def flat(consts: list[Any], held: list[Any], lent: list[Any]) -> list[Any]:
        kept, given = iter(held), iter(lent)
        return jax.core.eval_jaxpr(jaxpr.jaxpr, consts, *(next(given if lends else kept) for lends in order))

    sharded = jax.shard_map(
        flat,
        mesh=mesh,
        in_specs=([whole for _ in consts], held_specs, lent_specs),
        out_specs=parts,
        check_vma=False,
    )
    placed = [jax.tree.map(lambda leaf, spec: _shape(leaf.shape, leaf, NamedSharding(mesh, spec)), arg, spec)
              for arg, spec in zip(args, specs, strict=True)]  # fmt: skip
    held, lent = _apart(placed, donate)
    # With `keep_unused` the text lists unused arguments too; otherwise two programs that read different leaves of
    # carries of one shape would have the same text.
    own: dict[str, Any] = _CPU if mesh.devices.flat[0].platform == "cpu" else {}

    def lower(platforms: tuple[str, ...] | None = None) -> Any:
        shapes = [_shape(const.shape, const, const.sharding) for const in consts]
        jitted = jax.jit(sharded, donate_argnums=2, keep_unused=True, out_shardings=NamedSharding(mesh, parts))
        return jitted.trace(shapes, held, lent).lower(lowering_platforms=platforms), own

    together = jax.tree.map(lambda leaf: _shape((leaf.shape[0] * devices, *leaf.shape[1:]), leaf), result)
    where = f"{jax.default_backend()} {[device.id for device in mesh.devices.flat]}"
    return Program(lower, consts, together, donate, where)


def _apart(args: Sequence[Any], donate: int | None) -> tuple[list[Any], list[Any]]:
    """Split the leaves of the arguments: those that are not donated, and those of the donated argument."""
    held = [leaf for position, arg in enumerate(args) if position != donate for leaf in jax.tree.leaves(arg)]
    return held, [] if donate is None else jax.tree.leaves(args[donate])


def _shape(shape: Sequence[int], like: Any, sharding: Any = None) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(shape), like.dtype, sharding=sharding)


def _compile(lowered: tuple[Any, dict[str, Any]], where: str) -> "tuple[Future[_Executable], bool]":
    program, options = lowered

    def work() -> _Executable:
        began = time.perf_counter()
        return _Executable(program.compile(compiler_options=options), time.perf_counter() - began)

    text = program.as_text()
    if _CALLBACK.search(text):
        return _compilers.submit(work), True
    key = hashlib.sha256(f"{text} {program.in_avals} {where} {options}".encode()).hexdigest()
    if key in _compiled:
        _compiled.move_to_end(key)
        return _compiled[key], False
    _compiled[key] = _compilers.submit(work)
    while len(_compiled) > _KEPT:
        _compiled.popitem(last=False)
    return _compiled[key], True
