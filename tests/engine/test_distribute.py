"""`execute_on` gives the bits of a local execution, whichever workers run its tasks."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict, deque
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import evaluate, log, sweep
from gdlab.engine import worker
from gdlab.engine.distribute import AHEAD, TILES_PER_WORKER, FailedRunsError, execute_on
from gdlab.engine.evaluate import planned
from gdlab.engine.execute import Settings, execute
from gdlab.engine.executor_adapter import ExecutorAdapter, WorkersError
from gdlab.engine.manifest import Manifest
from gdlab.engine.read_store import open_store
from gdlab.engine.runner import Stopped
from gdlab.engine.write_store import Store
from gdlab.rules import gd, momentum
from gdlab.training.sweep import assignment
from tests.engine.engine_cases import assert_same_bits, bowl

RULES = {"gd": gd, "heavy": momentum}
OVER = {"lr": log(1e-3, 10, 12), "seed": 3}
HOW = {"steps": 40, "every": 3}
TILES = Settings(chunk=8, tile=8)


def wave(x, n):
    return {"value": jnp.sin(x) * jnp.ones(n), "count": jnp.asarray(n)}


def square(x):
    return x * x / 3


def fails_in_a_worker(x):
    """Raises in a worker process, but not in this one."""

    def here(x):
        if multiprocessing.parent_process() is not None and x > 2:
            raise OSError("no such device here")
        return x

    return jax.pure_callback(here, jax.ShapeDtypeStruct((), jnp.float32), x, vmap_method="sequential")


@pytest.fixture(scope="module")
def local():
    return sweep(bowl, RULES, OVER, **HOW, chunk=8)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


class OneAtATime:
    """An executor that runs one task at each call of `done` of a future."""

    def __init__(self, workers=2):
        self._max_workers, self.queue, self.calls, self.most = workers, deque(), [], 0

    def submit(self, fn, *args):
        future = Future()
        self.queue.append((future, fn, args))
        self.calls.append((fn, args))
        self.most = max(self.most, len(self.queue))
        future.done = lambda: self.turn() or Future.done(future)
        return future

    def turn(self):
        if self.queue:
            future, fn, args = self.queue.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(fn(*args))

    @property
    def tasks(self):
        return [args[2] for fn, args in self.calls if fn is worker.work]


def runs(**how):
    assigned = partial(assignment, bowl, RULES, OVER, **HOW | how)
    return assigned()[1], partial(planned, assigned, ())


def stored(folder, executor=None, settings=TILES, resume=False, **how):
    """Run into a store, in this process or on an executor."""
    points, source = runs(**how)
    with Store(folder, points, resume=resume) as store:
        if executor is None:
            execute(source(), store, settings)
        else:
            execute_on(executor, source(), source, store, settings)


def arrays(folder):
    """The bytes of all files of a store."""
    return {
        path.relative_to(folder): path.read_bytes() for path in (folder / "store.zarr").rglob("*") if path.is_file()
    }


def test_sweep_on_threads_has_the_bits_of_a_local_sweep(local):
    with ThreadPoolExecutor(2) as executor:
        assert_same_bits(sweep(bowl, RULES, OVER, **HOW, chunk=8, executor=executor), local)
        curvature = 4.0
        closed_over = sweep(lambda: bowl(curvature), RULES, OVER, **HOW, chunk=8, executor=executor)
    assert_same_bits(closed_over, local)


def test_sweep_on_processes_has_the_bits_of_a_local_sweep(local, processes):
    assert_same_bits(sweep(bowl, RULES, OVER, **HOW, chunk=8, executor=processes), local)


def test_evaluate_on_processes_has_the_bits_of_a_local_call(processes):
    over = {"x": np.linspace(0, 1, 7), "n": [1, 3]}
    assert_same_bits(evaluate(wave, over, chunk=2, executor=processes), evaluate(wave, over, chunk=2))


def test_evaluate_on_processes_uses_the_precision_of_this_process(processes):
    with jax.enable_x64(True):
        found = evaluate(square, {"x": [0.1, 0.2]}, executor=processes)
    np.testing.assert_array_equal(found["value"], np.array([0.1, 0.2]) ** 2 / 3)


def test_sweep_on_dask_accepts_lambdas(local):
    distributed = pytest.importorskip("distributed")
    curvature = 4.0
    quiet = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**quiet) as cluster, distributed.Client(cluster) as client:
        problem = lambda: bowl(curvature)
        assert_same_bits(sweep(problem, RULES, OVER, **HOW, chunk=8, executor=client), local)
        assert_same_bits(sweep(problem, RULES, OVER, **HOW, chunk=8, executor=client.get_executor()), local)
        lock = multiprocessing.Lock()
        with pytest.raises(
            WorkersError, match=r"the argument 'problem' .* Create the objects it holds inside the function"
        ):
            sweep(lambda: lock and bowl(), gd, {"lr": [0.1]}, steps=2, executor=client)


@pytest.mark.slow
def test_execute_on_dask_survives_a_killed_worker(tmp_path):
    """One of two workers is killed half-way through its work: the store has the same bytes."""
    distributed = pytest.importorskip("distributed")
    here, there, long = tmp_path / "here", tmp_path / "there", {"steps": 200_000, "every": 5000}
    here.mkdir(), there.mkdir()
    stored(here, **long)
    address = tmp_path / "scheduler.json"
    words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address]
    scheduler = dask(*words)
    workers = []
    try:
        while not address.exists():
            time.sleep(0.05)
        at = json.loads(address.read_text())["address"]
        how = ("--no-nanny", "--nthreads", "1", "--no-dashboard")
        workers = [dask("worker", at, "--name", number, *how) for number in range(2)]
        with distributed.Client(at, set_as_default=False) as client:
            client.wait_for_workers(2)
            at_work = []

            def progress(state):
                if not at_work and state.done >= state.runs / 2:
                    at_work.extend(client.processing().values())
                    workers[0].send_signal(signal.SIGKILL)

            stored(there, client, TILES._replace(progress=progress), **long)
            assert len(at_work) == 2
            assert all(at_work)
            assert len(client.ncores()) == 1
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
    assert arrays(there) == arrays(here)


def dask(*words):
    module = f"distributed.cli.dask_{words[0]}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words[1:])], env=environment, stderr=subprocess.DEVNULL
    )


def test_execute_on_writes_the_bytes_of_a_local_store(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    stored(here)
    stored(there, OneAtATime())
    assert arrays(there) == arrays(here)


def test_execute_on_makes_four_tiles_of_whole_chunks_per_worker(tmp_path):
    stored(tmp_path, executor := OneAtATime(2), Settings(chunk=4))
    layouts = [task.layout for task in executor.tasks]
    assert {layout.tile for layout in layouts} == {12}  # 72 runs by 8 are 9: three chunks of 4
    assert TILES_PER_WORKER == 4
    assert {layout.chunk for layout in layouts} == {4}


def test_execute_on_submits_at_most_two_tasks_per_worker(tmp_path):
    stored(tmp_path, executor := OneAtATime(2))
    assert executor.most <= AHEAD * 2 == 4
    assert len({(task.group, task.runs[0]) for task in executor.tasks}) == 10


def test_execute_on_sends_the_groups_to_a_worker_once(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_groups", OrderedDict())
    stored(tmp_path, executor := OneAtATime(2))
    sources = [args[1] for fn, args in executor.calls if fn is worker.work and args[1] is not None]
    assert 1 <= len(sources) <= AHEAD * 2


@pytest.mark.parametrize("remote", [True, False])
def test_execute_on_resumes_a_stopped_store_here_or_on_other_workers(remote, tmp_path):
    here, cut = tmp_path / "here", tmp_path / "cut"
    here.mkdir(), cut.mkdir()
    stored(here, OneAtATime(), Settings(chunk=4))
    done = []
    settings = Settings(
        chunk=4, progress=lambda state: done.append(state.done), stop=lambda: max(done, default=0) >= 20
    )
    with pytest.raises(Stopped):
        stored(cut, executor := OneAtATime(), settings)
    entered = len(Manifest(cut).tiles(0))
    assert 2 <= entered <= 2 + executor._max_workers  # tasks that had begun were completed
    assert entered < 3 * 3 + 3 * 3
    stored(cut, OneAtATime(7) if remote else None, Settings(), resume=True)
    assert arrays(cut) == arrays(here)


def test_execute_on_completes_the_other_tasks_if_one_fails(processes):
    with pytest.raises(FailedRunsError, match=r"all runs, runs 2 to 3: .*OSError: no such device here \(on ") as failed:
        evaluate(fails_in_a_worker, {"x": [1.0, 2.0, 3.0, 4.0, 0.0]}, chunk=2, executor=Tiles(processes))
    np.testing.assert_array_equal(failed.value.data["value"], [1, 2, np.nan, np.nan, 0])
    assert [failure.runs for failure in failed.value.failures] == [slice(2, 4)]


class Tiles:
    """An executor that reports many workers, so that every tile is one chunk."""

    _max_workers = 100

    def __init__(self, executor):
        self.submit = executor.submit


def test_execute_on_reports_a_broken_process_pool():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        assert ExecutorAdapter(executor).worker_info.devices >= 1
        (pid,) = executor._processes
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkersError, match="the workers are lost: A process in the process pool was terminated"):
            evaluate(square, {"x": [0.1, 0.2]}, executor=executor)


def test_execute_on_names_the_argument_that_cannot_be_pickled(processes):
    with pytest.raises(
        WorkersError, match=r"the argument 'rule' can't be sent .*Define it with `def` at the top level"
    ):
        sweep(bowl, {"mine": lambda lr=0.1: gd(lr)}, OVER, **HOW, executor=processes)
    with pytest.raises(WorkersError, match=r"the argument 'problem' .*pass the function that makes a Problem"):
        sweep(bowl(), gd, OVER, **HOW, executor=processes)
    with pytest.raises(WorkersError, match="the argument 'probes' can't be sent"):
        sweep(bowl, gd, OVER, **HOW, probes={"x": lambda step: step.params}, executor=processes)
    with pytest.raises(WorkersError, match="the argument 'fn' can't be sent"):
        evaluate(lambda x: x, {"x": [1.0]}, executor=processes)


def test_executor_adapter_refuses_forked_processes():
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor,
        pytest.raises(WorkersError, match=r"get_context\('spawn'\)"),
    ):
        ExecutorAdapter(executor)


@pytest.mark.parametrize("name", ["gdlab", "jax", "jaxlib", "Python"])
def test_execute_on_refuses_workers_of_another_version(name, monkeypatch):
    other = {**worker.versions(), name: "0.0.7"}
    other_info = {**worker.hello(), "versions": other, "host": "afar"}
    monkeypatch.setattr("gdlab.engine.executor_adapter.hello", lambda: other_info)
    message = rf"{name} is {worker.versions()[name]} here but 0.0.7 on the worker afar.* Install the same"
    with pytest.raises(WorkersError, match=message):
        evaluate(square, {"x": [0.1]}, executor=OneAtATime())


def test_execute_on_refuses_a_later_worker_of_another_version(monkeypatch):
    hello = worker.hello
    monkeypatch.setattr(worker, "hello", lambda: {**hello(), "versions": {**worker.versions(), "jax": "0.0.7"}})
    with pytest.raises(WorkersError, match=r"jax is .* here but 0\.0\.7 on the worker"):
        evaluate(square, {"x": [0.1]}, executor=OneAtATime())


def test_execute_on_reports_a_worker_without_gdlab():
    class Elsewhere(OneAtATime):
        def turn(self):
            if self.queue:
                self.queue.popleft()[0].set_exception(ModuleNotFoundError("No module named 'gdlab'"))

    with pytest.raises(
        WorkersError, match=r"a worker can't run gdlab: .*No module named 'gdlab'\. Install the same gdlab version"
    ):
        evaluate(square, {"x": [0.1]}, executor=Elsewhere())


def test_execute_on_refuses_a_worker_with_other_code(tmp_path):
    points, source = runs()
    other = partial(planned, partial(assignment, bowl, RULES, {"lr": [1.0], "seed": 3}, **HOW), ())
    with Store(tmp_path, points) as store, pytest.raises(WorkersError, match="plans other runs than this process"):
        execute_on(OneAtATime(), source(), other, store, Settings())


def test_execute_on_reports_a_broken_executor_and_keeps_results(tmp_path):
    class Broken(OneAtATime):
        def submit(self, fn, *args):
            if len(self.calls) == 6:
                raise BrokenExecutor("the cluster is on fire")
            return super().submit(fn, *args)

    with pytest.raises(WorkersError, match="the workers are lost: the cluster is on fire"):
        stored(tmp_path, Broken())
    assert open_store(tmp_path)["final_loss"].notnull().any()


@pytest.mark.parametrize("name", ["chunk", "tile"])
def test_execute_on_refuses_a_chunk_or_tile_of_zero(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        stored(tmp_path, OneAtATime(), Settings(**{name: 0}))
