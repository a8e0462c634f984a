"""`--on` gives the results of a local run; errors of workers are reported."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gdlab.cli import executors as on
from gdlab.engine import worker
from gdlab.engine.executor_adapter import ExecutorAdapter
from gdlab.engine.manifest import Manifest
from gdlab.experiment.results import PROVENANCE, read_json
from tests.command_line import GOOD
from tests.real_processes import SMALL, assert_same, home, processes, the_folder, with_config  # noqa: F401

PLAIN = GOOD.replace("landscape: {points: 9}\n", "").replace("[lr_sensitivity, loss_curves, landscape]", "[]")
MORE = "code: [mine.py]\ncompute: {tile: 4}\n"
CODE = """\
import multiprocessing

import jax
import jax.numpy as jnp

from gdlab import Rule, register


@register.rule("fickle")
def fickle(lr=0.1):
    def elsewhere(x):
        if multiprocessing.parent_process() is not None:
            raise OSError("the disk is on the moon")
        return x

    def update(grads, state, params=None, **extra):
        seen = jax.pure_callback(elsewhere, jax.ShapeDtypeStruct((2,), jnp.float32), grads, vmap_method="expand_dims")
        return -lr * seen, state

    return Rule(lambda params: (), update)
"""


# By default the chunk depends on the number of devices, so it is set here.
RUN = ("run", "c.yaml", "compute.chunk=8")


@pytest.fixture(scope="module")
def uninterrupted(processes, tmp_path_factory):  # noqa: F811
    """The results folder of an uninterrupted local run."""
    home = with_config(tmp_path_factory.mktemp("uninterrupted"))  # noqa: F811
    done = processes.call(home, *RUN, knobs=SMALL)
    assert done.code == 0, done.err
    return the_folder(home)


@pytest.fixture
def threads(monkeypatch):
    """Threads in place of processes."""

    @contextmanager
    def opened(count):
        with ThreadPoolExecutor(count) as executor:
            yield ExecutorAdapter(executor)

    monkeypatch.setattr(on, "_processes", opened)


@pytest.mark.slow
def test_processes_give_the_bytes_of_a_local_run(processes, home, uninterrupted):  # noqa: F811
    done = processes.call(home, *RUN, "--on", "processes:2", knobs=SMALL)
    assert done.code == 0, done.err
    assert_same(the_folder(home), uninterrupted)


@pytest.mark.slow
def test_an_interrupt_keeps_finished_runs_and_resume_continues(processes, home, uninterrupted):  # noqa: F811
    done = processes.call(home, *RUN, "--on", "processes:1", knobs=SMALL, at=("manifest", 5), signals=[signal.SIGINT])
    folder = the_folder(home)
    assert done.code == 130
    assert f"interrupted; what was done is kept. To go on: gdlab resume results/kept/{folder.name}" in done.err
    assert "Traceback" not in done.err
    assert 1 <= len(Manifest(folder).tiles(0)) + len(Manifest(folder).tiles(1)) < 8
    done = processes.call(home, "resume", folder, "--on", "processes:1", knobs=SMALL)
    assert done.code == 0, done.err
    assert_same(folder, uninterrupted)


def test_runs_that_fail_on_a_worker_leave_the_others(gdlab, tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "c.yaml").write_text(PLAIN.replace("gd: {kind: gd}", "mine: {kind: fickle}") + MORE)
    result = gdlab("run", "c.yaml", "--on", "processes:1")
    (folder,) = (path for path in (tmp_path / "results" / "small").iterdir() if not path.is_symlink())
    assert result.exit_code == 3
    assert "some runs failed; the others are done" in result.stderr
    assert "mine, runs 0 to 3: JaxRuntimeError: OSError: the disk is on the moon" in result.stderr
    assert f"To run what failed: gdlab resume results/small/{folder.name}" in result.stderr
    assert "heavy" not in result.stderr.partition("some runs failed")[2]
    assert Manifest(folder).tiles(0) == []
    assert sum(tile.stop - tile.start for tile in Manifest(folder).tiles(1)) == 8
    result = gdlab("resume", folder)  # in this process it does not fail
    assert result.exit_code == 0, result.output
    assert "not finished" not in result.output


def test_provenance_has_the_versions_of_the_workers(gdlab, write, threads):
    write(text=PLAIN)
    result = gdlab("run", "c.yaml", "--on", "processes:3", "--quiet")
    assert result.exit_code == 0, result.output
    provenance = read_json(Path(result.stdout.strip()) / PROVENANCE)
    assert provenance["workers"] == worker.hello()
    assert [group["devices"] for group in provenance["groups"]] == [worker.hello()["devices"]] * 2


@pytest.mark.parametrize(
    "words", ["slurm", "dask:", "dask://here", "dask://:80", "processes", "processes:0", "processes:x"]
)
def test_on_refuses_other_forms(gdlab, write, words):
    write()
    result = gdlab("run", "c.yaml", "--on", words)
    assert result.exit_code == 2
    assert f"--on {words} has none of these forms:" in result.stderr
    for form in ("dask://HOST:PORT", "dask ", "processes:N"):
        assert f"--on {form}" in result.stderr


def test_on_refuses_devices(gdlab, write):
    write()
    result = gdlab("run", "c.yaml", "--on", "processes:1", "--devices", "1")
    assert result.exit_code == 2
    assert "--devices applies to this process" in result.stderr


def test_on_without_an_answering_scheduler(gdlab, write, monkeypatch, tmp_path):
    pytest.importorskip("distributed")
    monkeypatch.setattr(on, "TIMEOUT", 0.3)
    write(text=PLAIN)
    result = gdlab("run", "c.yaml", "--on", "dask://127.0.0.1:9")
    assert result.exit_code == 2
    assert "no dask scheduler answers at 127.0.0.1:9" in result.stderr
    assert not (tmp_path / "results").exists()


def test_on_without_dask_names_what_to_install(gdlab, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    write(text=PLAIN)
    result = gdlab("run", "c.yaml", "--on", "dask")
    assert result.exit_code == 2
    assert "pip install 'gdlab[cluster]'" in result.stderr


def test_workers_of_another_version_are_refused_before_any_folder_exists(gdlab, write, threads, monkeypatch, tmp_path):
    other = {**worker.hello(), "versions": {**worker.versions(), "jax": "0.0.7"}}
    monkeypatch.setattr("gdlab.engine.executor_adapter.hello", lambda: other)
    write(text=PLAIN)
    result = gdlab("run", "c.yaml", "--on", "processes:1")
    assert result.exit_code == 2
    assert f"jax is {worker.versions()['jax']} here but 0.0.7 on the worker" in result.stderr
    assert not list((tmp_path / "results").glob("*/*"))


@pytest.mark.slow
def test_a_local_dask_cluster_runs_a_config(processes, home, uninterrupted):  # noqa: F811
    pytest.importorskip("distributed")
    done = processes.call(home, *RUN, "--on", "dask", knobs=SMALL)
    assert done.code == 0, done.err
    assert_same(the_folder(home), uninterrupted)
