"""Run the command line in separate processes that can be interrupted or killed at any event.

Importing gdlab takes seconds. One server process imports it and forks a process for each call, so a call is fast. A
call can send itself signals at an event: before it opens a file of its results for writing, before it moves or makes
one, or after it has started a segment. Events have a phase and are numbered within their phase.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

# Two programs with four tiles each, a mini-batch per step, runs that diverge, a series in a chunk and one in segments.
CONFIG = """\
name: kept
code: [mine.py]
problem: {kind: cloud}
rules:
  gd: {kind: gd}
  heavy: {kind: momentum, beta: 0.8}
sweep:
  lr: {log: [1e-3, 3, 9]}
  seed: 3
train: {steps: 8000, batch_size: 5}
record: {every: 20, probes: [position]}
compute: {tile: 8}
"""
CODE = """\
import jax
import jax.numpy as jnp
import numpy as np

import gdlab
from gdlab import register


@register.problem("cloud")
def cloud():
    def loss(x, batch):
        return 0.5 * ((x[None] - batch) ** 2 * jnp.array([[1.0, 2.0, 5.0]])).sum(axis=1).mean()

    points = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    return gdlab.Problem(init=lambda key: jax.random.normal(key, (3,)), loss=loss, data=points)
"""
SMALL = {"gdlab.engine.group_metadata.BUFFERED": 20_000}  # `position` is buffered in segments, and `loss` is not
OFTEN = {**SMALL, "gdlab.engine.write_store.OFTEN": 0}  # and a checkpoint after each segment


WITH_FIGURES = ("landscape={points: 7}", "figures=[loss_curves]", "--format", "png")


class Done(NamedTuple):
    """A process that has ended. `code` is its exit code, or minus the signal that killed it."""

    code: int
    out: str
    err: str


class Started(NamedTuple):
    """A process that may still be running."""

    processes: "Processes"
    pid: int
    streams: Path

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self):
        code = self.processes.ask({"wait": self.pid})
        return Done(code, *((self.streams / f"{self.pid}.{stream}").read_text() for stream in ("out", "err")))


class Processes:
    """Starts `gdlab WORDS` in the folder `home`."""

    def __init__(self, folder):
        self._streams = folder
        quiet = {
            "JAX_PLATFORMS": "cpu",
            "GDLAB_CACHE": str(folder / "cache"),
            "COLUMNS": "200",
            "PYTHONWARNINGS": "ignore",
        }
        self._server = subprocess.Popen(
            [sys.executable, __file__], env={**os.environ, **quiet}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, request):
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(
        self, home, *words, knobs=None, at=None, signals=(signal.SIGKILL,), ballast=None, events=None, devices=None,
        room=None,
    ):  # fmt: skip
        """Start a call.

        `knobs`: values for variables of modules; `at`: the phase and the number of the event at which the process sends
        itself `signals`, or from which it keeps the disk full with the file `ballast`; `events`: a file to which events
        are logged; `devices`: the number of CPU devices; `room`: the largest size of a file in bytes.
        """
        request = {
            "home": str(home), "words": list(map(str, words)), "streams": str(self._streams), "knobs": knobs or {},
            "at": at, "signals": list(map(int, signals)), "ballast": ballast and str(ballast),
            "events": events and str(events), "devices": devices, "room": room,
        }  # fmt: skip
        return Started(self, self.ask(request), self._streams)

    def call(self, home, *words, **how):
        return self.start(home, *words, **how).wait()

    def close(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


@pytest.fixture(scope="session")
def processes(tmp_path_factory):
    started = Processes(tmp_path_factory.mktemp("processes"))
    yield started
    started.close()


@pytest.fixture
def home(tmp_path):
    """A folder with the config in it."""
    return with_config(tmp_path)


def with_config(folder):
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "mine.py").write_text(CODE)
    return folder


@pytest.fixture(scope="session")
def uninterrupted(processes, tmp_path_factory):
    """The results folder of an uninterrupted run of the config."""
    home = with_config(tmp_path_factory.mktemp("uninterrupted"))
    done = processes.call(home, "run", "c.yaml", knobs=SMALL, events=home / "events")
    assert done.code == 0, done.err
    return the_folder(home)


@pytest.fixture(scope="session")
def with_figures(processes, tmp_path_factory):
    """The results folder of an uninterrupted run of the config, with a landscape and a figure."""
    home = with_config(tmp_path_factory.mktemp("with_figures"))
    done = processes.call(home, "run", "c.yaml", *WITH_FIGURES, knobs=OFTEN, events=home / "events")
    assert done.code == 0, done.err
    return the_folder(home)


def the_folder(home):
    """The only results folder below `home`."""
    (folder,) = (path for path in (home / "results").glob("*/*") if not path.is_symlink())
    return folder


def events(folder):
    """The phases of the events of a run, read from the file `events` beside its config."""
    return (folder.parents[2] / "events").read_text().split()


def contents(folder):
    """The bytes of all files that a run computes: those of the store, and runs.csv."""
    files = [path for path in (folder / "store.zarr").rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in (*files, folder / "runs.csv")}


def assert_same(folder, wanted):
    """Two results folders hold the same bytes, and no checkpoint or partial file is left."""
    found, wanted = contents(folder), contents(wanted)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert not [path for path in folder.rglob("*") if ".checkpoint" in path.name or path.name.endswith(".partial")]


def phase_of(path):
    """The phase in which a file of a results folder is written."""
    marks = {
        "landscape": "landscape", ".checkpoint-": "checkpoint", "manifest": "manifest", "runs.csv": "table",
        "/c/": "chunk", "provenance": "provenance", "/figures": "figure", "store.zarr": "metadata",
        "config.yaml": "begin",
    }  # fmt: skip
    return next((phase for mark, phase in marks.items() if mark in path), None)


def serve():
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                return work(**request)
        print(json.dumps(answer), flush=True)
    return None


def work(home, words, streams, knobs, at, signals, ballast, events, devices, room):
    os.chdir(home)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{streams}/{os.getpid()}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    import jax

    from gdlab import cli

    if devices is not None:
        jax.config.update("jax_num_cpu_devices", devices)
    for knob, value in knobs.items():
        module, _, name = knob.rpartition(".")
        setattr(importlib.import_module(module), name, value)
    if ballast:  # space that is freed later is filled again
        watch(at, lambda: fill(ballast), events, lasting=True)
    else:
        watch(at, lambda: send(signals), events)
    if room is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    sys.argv = ["gdlab", *words]
    cli.main(words)


def send(signals):
    for number in signals:
        os.kill(os.getpid(), number)


def fill(ballast):
    """Fill the disk completely."""
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (4096, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(file, bytes(size))
    os.close(file)


def watch(at, act, events, lasting=False):
    """Count the events of each phase; call `act` at the event `at`, and if `lasting` at all later ones."""
    from gdlab.engine.tile_run import TileRun

    seen: dict[str, int] = {}
    acting: list[str] = []
    turn = threading.RLock()
    log = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if events else None

    def happens(phase):
        with turn:
            seen[phase] = seen.get(phase, 0) + 1
            if log is not None:
                os.write(log, f"{phase}\n".encode())
            reached = at is not None and (at[0], at[1]) == (phase, seen[phase])
            if reached or (lasting and acting):
                acting.append(phase)
                act()

    def hook(event, args):
        if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
            path = args[0]
        elif event in ("os.rename", "os.mkdir"):
            path = str(args[0])
        else:
            return
        if "results/" in path and (phase := phase_of(path)) is not None:
            happens(phase)

    advance = TileRun.advance

    def advanced(self, segment):
        sent = advance(self, segment)
        happens("segment")
        return sent

    TileRun.advance = advanced
    sys.addaudithook(hook)


if __name__ == "__main__":
    serve()
