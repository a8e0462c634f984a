"""The option `--on`: evaluate runs on the workers of a dask cluster, or in processes of this machine."""

import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from gdlab.errors import UserError

if TYPE_CHECKING:
    from gdlab.engine.executor_adapter import ExecutorAdapter

FORMS = {
    "dask://HOST:PORT": "the workers of the dask scheduler at this address",
    "dask": "dask workers on this machine, one for each core",
    "processes:N": "N processes on this machine",
}
# Seconds to wait for the answer of a scheduler.
TIMEOUT = 10


class OnError(UserError):
    """The workers of `--on` are not available."""


def read(text: str) -> "Callable[[], AbstractContextManager[ExecutorAdapter]]":
    """Parse the value of `--on`. Returns a function that makes a context manager, which yields the executor.

    Raises:
        OnError: the text has none of the `FORMS`. Entering the context also raises it, if no scheduler answers or if
            dask is not installed.
    """
    kind, _, rest = text.partition(":")
    if text == "dask":
        return _local_cluster
    if kind == "dask" and rest.startswith("//") and all(rest[2:].rpartition(":")[::2]):
        return functools.partial(_scheduler, rest[2:])
    if kind == "processes" and rest.isdecimal() and int(rest) > 0:
        return functools.partial(_processes, int(rest))
    forms = "".join(f"\n  --on {form:<17} {meaning}" for form, meaning in FORMS.items())
    raise OnError(f"--on {text} has none of these forms:{forms}")


@contextmanager
def _scheduler(address: str) -> "Iterator[ExecutorAdapter]":
    with _dask():
        from distributed import Client
    from gdlab.engine.executor_adapter import ExecutorAdapter

    try:
        client = Client(f"tcp://{address}", timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OnError(f"no dask scheduler answers at {address}: {error}") from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # gdlab itself reports a lost scheduler
    with client:
        if not client.ncores():
            print(f"waiting for a worker of the scheduler at {address}", file=sys.stderr, flush=True)
        yield ExecutorAdapter(client)


@contextmanager
def _local_cluster() -> "Iterator[ExecutorAdapter]":
    with _dask():
        from distributed import Client, LocalCluster
    from gdlab.engine.executor_adapter import ExecutorAdapter

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with _uninterrupted():
        cluster = LocalCluster(n_workers=cores, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster, set_as_default=False) as client:
        yield ExecutorAdapter(client)


@contextmanager
def _processes(count: int) -> "Iterator[ExecutorAdapter]":
    from concurrent.futures import ProcessPoolExecutor

    from gdlab.engine.executor_adapter import ExecutorAdapter

    spawn = multiprocessing.get_context("spawn")
    with _uninterrupted():
        executor = ProcessPoolExecutor(count, mp_context=spawn, initializer=_follow_parent)
    with executor:
        yield ExecutorAdapter(executor)


@contextmanager
def _dask() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError:
        raise OnError("--on dask needs dask.distributed: pip install 'gdlab[cluster]'") from None


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A context in which new child processes ignore Ctrl-C and print no warning about it.

    A terminal sends Ctrl-C to child processes too.
    """
    with contextlib.ExitStack() as stack:
        # The resource tracker is a child process; it would warn about the shared memory that it frees.
        sys.warnoptions.append("ignore:resource_tracker")
        stack.callback(sys.warnoptions.remove, "ignore:resource_tracker")
        if threading.current_thread() is threading.main_thread():  # only the main thread can set signal handlers
            stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        yield


def _follow_parent() -> None:
    """In a new process: ignore Ctrl-C, and exit when the parent exits for any reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
