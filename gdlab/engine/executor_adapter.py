"""Any executor as the engine sees it: how many workers it has, what they are, and how work is packed for them."""

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

from gdlab.engine.messages import Parcel, Site
from gdlab.engine.plan import Group
from gdlab.engine.worker import differing, hello, versions
from gdlab.errors import UserError

# Seconds between two looks at what has been done.
PAUSE = 0.02

# What an executor raises when it has broken down; of a task's own exceptions none comes out of it.
_BREAKDOWNS = (BrokenExecutor, CancelledError, OSError)

# Makes the groups of an execution, in any process, the same each time.
Source = Callable[[], tuple[Group, ...]]


class WorkersError(UserError):
    """The workers can't do the work, or are gone."""


class Crew:
    """The workers of an executor: anything with `submit(fn, *args)` whose futures have `done`, `result` and `cancel`.

    A dask `Client` serves too. Threads are handed their work as it is, others pickled: by cloudpickle for dask, which
    sends lambdas and what a script defines; by pickle else, which sends a function by the name of its module.

    Raises:
        WorkersError: processes that would be forked from this one.
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
                "the executor forks its processes, which JAX does not survive; make it as "
                "ProcessPoolExecutor(n, mp_context=multiprocessing.get_context('spawn'))"
            )

    @property
    def size(self) -> int:
        """How many workers there are now, as far as is known; at least one."""
        if self._client is not None:
            with lost():
                return max(1, len(self._client.ncores()))
        return getattr(self._executor, "_max_workers", None) or os.cpu_count() or 1

    @functools.cached_property
    def site(self) -> Site:
        """What a worker is. Waits for the first one.

        Raises:
            WorkersError: it can't run gdlab, or has other versions than this process.
        """
        future = self.submit(hello)
        try:
            while not future.done():
                time.sleep(PAUSE)
        except BaseException:
            future.cancel()
            raise
        with lost():
            try:
                site = Site(**future.result())
            except _BREAKDOWNS:
                raise
            except Exception as error:
                raise WorkersError(
                    f"a worker can't run gdlab: {type(error).__name__}: {error}. Install gdlab there as it is here"
                ) from error
        wrong = differing(versions(), site)
        if wrong is not None:
            raise WorkersError(wrong)
        return site

    def submit(self, fn: Callable[..., Any], *args: Any) -> Any:
        """A future of `fn(*args)`.

        Raises:
            WorkersError: they are gone.
        """
        with lost():
            return self._executor.submit(fn, *args)

    def pack(self, source: Source) -> tuple[str, Parcel]:
        """A name for a source, the same for the same bytes, and the source as the workers get it.

        Raises:
            WorkersError: an argument of it can't be pickled.
        """
        if isinstance(self._executor, ThreadPoolExecutor):
            return uuid.uuid4().hex, source
        pickler = pickle if self._client is None else importlib.import_module("cloudpickle")
        try:
            parcel = pickler.dumps(source)
        except Exception as error:  # of any kind: pickling runs the code of what is pickled
            raise WorkersError(_unpicklable(source, error, pickler.dumps)) from error
        return hashlib.sha256(parcel).hexdigest(), parcel


@contextmanager
def lost() -> Iterator[None]:
    """A context in which an executor that has broken down says so.

    Raises:
        WorkersError: it has.
    """
    try:
        yield
    except _BREAKDOWNS as error:
        cause = str(error).rstrip(".") or type(error).__name__
        raise WorkersError(f"the workers are gone: {cause}") from error


def _unpicklable(source: Source, error: Exception, dumps: Callable[[Any], bytes]) -> str:
    """Which argument can't be sent, why, and what to do."""
    named = next((name for name, value in _arguments(source) if not _sendable(value, dumps)), None)
    what = f"the argument {named!r}" if named else "what is to be run"
    cause = str(error).strip().partition("\n")[0]
    if dumps is pickle.dumps:
        way = (
            "Define it with `def` at the top of a module that the workers can import, and in place of a Problem give "
            "the function that makes it; or use dask, which sends lambdas and closures too"
        )
    else:
        way = "Make what it holds inside of the function that needs it"
    return f"{what} can't be sent to the workers: {type(error).__name__}: {cause}. {way}"


def _arguments(call: Any) -> Iterator[tuple[str, Any]]:
    """What a partial function holds by name, and the partial functions of gdlab's that it holds."""
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


def _sendable(value: Any, dumps: Callable[[Any], bytes]) -> bool:
    try:
        dumps(value)
    except Exception:  # of any kind: pickling runs the code of what is pickled
        return False
    return True
