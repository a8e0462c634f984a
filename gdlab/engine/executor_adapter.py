"""Adapter for the executors of dask and of `concurrent.futures`."""

import functools
import hashlib
import importlib
import inspect
import os
import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from gdlab.engine.messages import GroupSource, WorkerInfo
from gdlab.engine.plan import Group
from gdlab.engine.worker import hello, version_mismatch, versions
from gdlab.errors import UserError

# Seconds between two checks for finished tasks.
PAUSE = 0.02

# What an executor raises if it breaks down. Tasks themselves raise none of these: `work` returns their exceptions.
_BREAKDOWNS = (BrokenExecutor, CancelledError, OSError)

# Returns the groups of an execution, the same in any process.
Source = Callable[[], tuple[Group, ...]]


class WorkersError(UserError):
    """The workers can't be used, or are lost."""


class ExecutorAdapter:
    """Wraps an executor: any object with `submit(fn, *args)` whose futures have `done`, `result` and `cancel`.

    A dask `Client` works too. Threads share the objects of this process. For dask, functions are pickled by
    cloudpickle, which supports lambdas and functions defined in a script; for other executors by pickle, which sends
    only the module and the name of a function.

    Raises:
        WorkersError: the executor forks its processes.
    """

    def __init__(self, executor: Any) -> None:
        if hasattr(executor, "get_executor"):
            executor = executor.get_executor(pure=False)
        self._executor = executor
        dask = type(executor).__module__.partition(".")[0] == "distributed"
        self._client = executor._client if dask else None
        context = getattr(executor, "_mp_context", None)
        if context is not None and context.get_start_method() == "fork":
            raise WorkersError(
                "the executor forks its processes, and JAX does not work after a fork; create it as "
                "ProcessPoolExecutor(n, mp_context=multiprocessing.get_context('spawn'))"
            )

    @property
    def size(self) -> int:
        """The current number of workers, or an estimate of it; at least 1."""
        if self._client is not None:
            with lost_workers():
                return max(1, len(self._client.ncores()))
        return getattr(self._executor, "_max_workers", None) or os.cpu_count() or 1

    @functools.cached_property
    def worker_info(self) -> WorkerInfo:
        """Versions and devices of a worker. Waits for the first one.

        Raises:
            WorkersError: it can't import gdlab, or has other versions than this process.
        """
        future = self.submit(hello)
        try:
            while not future.done():
                time.sleep(PAUSE)
        except BaseException:
            future.cancel()
            raise
        with lost_workers():
            try:
                info = WorkerInfo(**future.result())
            except _BREAKDOWNS:
                raise
            except Exception as error:
                raise WorkersError(
                    f"a worker can't run gdlab: {type(error).__name__}: {error}. Install the same gdlab version there"
                ) from error
        mismatch = version_mismatch(versions(), info)
        if mismatch is not None:
            raise WorkersError(mismatch)
        return info

    def submit(self, fn: Callable[..., Any], *args: Any) -> Any:
        """A future of `fn(*args)`.

        Raises:
            WorkersError: the workers are lost.
        """
        with lost_workers():
            return self._executor.submit(fn, *args)

    def pack(self, source: Source) -> tuple[str, GroupSource]:
        """A key of the source, equal for equal pickles, and the source in the form that is sent to the workers.

        Raises:
            WorkersError: an argument of the source can't be pickled.
        """
        if isinstance(self._executor, ThreadPoolExecutor):
            return uuid.uuid4().hex, source
        pickler = pickle if self._client is None else importlib.import_module("cloudpickle")
        try:
            pickled = pickler.dumps(source)
        except Exception as error:  # pickling runs the code of the objects, which may raise anything
            raise WorkersError(_unpicklable(source, error, pickler.dumps)) from error
        return hashlib.sha256(pickled).hexdigest(), pickled


@contextmanager
def lost_workers() -> Iterator[None]:
    """A context that turns the breakdown of an executor into a `WorkersError`."""
    try:
        yield
    except _BREAKDOWNS as error:
        cause = str(error).rstrip(".") or type(error).__name__
        raise WorkersError(f"the workers are lost: {cause}") from error


def _unpicklable(source: Source, error: Exception, dumps: Callable[[Any], bytes]) -> str:
    """Which argument can't be pickled, why, and what to do."""
    named = next((name for name, value in _arguments(source) if not _picklable(value, dumps)), None)
    what = f"the argument {named!r}" if named else "the function to be run"
    cause = str(error).strip().partition("\n")[0]
    if dumps is pickle.dumps:
        remedy = (
            "Define it with `def` at the top level of a module that the workers can import, and pass the function that "
            "makes a Problem instead of the Problem; or use dask, which also sends lambdas and closures"
        )
    else:
        remedy = "Create the objects it holds inside the function that needs them"
    return f"{what} can't be sent to the workers: {type(error).__name__}: {cause}. {remedy}"


def _arguments(call: Any) -> Iterator[tuple[str, Any]]:
    """The arguments of a partial function by name; a partial gdlab function among them is replaced by its arguments."""
    if not isinstance(call, functools.partial):
        return
    signature = inspect.signature(call.func)
    for name, value in signature.bind_partial(*call.args, **call.keywords).arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        elif isinstance(value, functools.partial) and value.func.__module__.startswith("gdlab."):
            yield from _arguments(value)
        else:
            yield name, value


def _picklable(value: Any, dumps: Callable[[Any], bytes]) -> bool:
    try:
        dumps(value)
    except Exception:  # pickling runs the code of the objects, which may raise anything
        return False
    return True
