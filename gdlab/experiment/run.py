"""Run or resume an experiment: sweep, store, provenance, landscapes, checks and figures."""

import errno
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax

import gdlab.figures  # noqa: F401  (fills the register before a config is checked)
from gdlab import config as configs
from gdlab.config import Config, Resolved
from gdlab.engine.devices import start
from gdlab.engine.distribute import FailedRunsError, execute_on
from gdlab.engine.execute import Settings, Stopped, Timing, execute, run_mesh
from gdlab.engine.executor_adapter import ExecutorAdapter, WorkersError
from gdlab.engine.plan import Group, plan
from gdlab.engine.progress import Progress
from gdlab.engine.read_store import check_programs
from gdlab.engine.space import Space, space
from gdlab.engine.write_store import Store, locked
from gdlab.errors import Halted, PartlyFailed, UserError
from gdlab.experiment import provenance, results
from gdlab.experiment.checks import check_all
from gdlab.experiment.disk import disk_space, refuse_small_disk
from gdlab.experiment.failures import Failure, explained, recorded
from gdlab.experiment.figures import draw_all, export
from gdlab.experiment.landscapes import check_landscape, landscapes_of, parts_of, problems_of
from gdlab.experiment.provenance import WallTime
from gdlab.experiment.reuse import Earlier
from gdlab.experiment.run_selection import all_runs, best_runs, nearest_values, one_run
from gdlab.experiment.theory import layer_names, stability_of_sharpness, stable_lr
from gdlab.training.sweep import STATIC, assignment, metric_directions


class ExperimentError(UserError):
    """The runs of a config can't be traced."""


class Finished(NamedTuple):
    """A finished experiment."""

    folder: Path
    figures: list[Path]
    failures: list[Failure]  # landscapes, checks and figures that failed; the results of the sweep are complete
    notes: list[str]  # notices: figures without data, damaged chunks, reused runs
    claims: list[dict[str, Any]]  # as in claims.json


class Prepared(NamedTuple):
    """A config and the plan of its runs."""

    resolved: Resolved
    space: Space
    groups: tuple[Group, ...]
    seconds: float  # the time that planning took


class Running(NamedTuple):
    """Run-time options and callbacks."""

    devices: Sequence[jax.Device] | None = None  # None: all devices of this process
    progress: Callable[[Progress], None] = lambda progress: None
    stop: Callable[[], bool] = lambda: False  # called after each segment; true stops the runs
    executor: ExecutorAdapter | None = None  # its workers evaluate the runs; None: this process


UNWATCHED = Running()


def prepare(resolved: Resolved) -> Prepared:
    """Plan the runs of a config; each of its programs is traced once.

    Raises:
        ExperimentError: a rule, problem or probe raises an exception when it is traced.
        UserError: a rule, problem or probe returns something of the wrong kind or shape.
        ConfigError: the config's landscape is impossible for all of its problems (see `check_landscape`).
    """
    config, train, began = resolved.config, resolved.config.train, time.perf_counter()
    try:
        with resolved.precision():
            build, space = assignment(
                resolved.problem,
                resolved.rules,
                resolved.over,
                steps=train.steps,
                batch_size=train.batch_size,
                sampling=train.sampling,
                every=config.record.every,
                probes=resolved.probes,
                stop=resolved.stop,
            )
            check_landscape(resolved, lambda: problems_of(resolved, space))
            groups = plan(space, build, STATIC)
            return Prepared(resolved, space, groups, time.perf_counter() - began)
    except UserError:
        raise
    except Exception as error:  # the user's code can raise anything
        raise ExperimentError(explained(error)) from error


def groups_of(text: str, code_dir: str) -> tuple[Group, ...]:
    """On a worker, plan the runs of a config given as text. The paths of `code` are relative to `code_dir`."""
    start(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / results.CONFIG
        path.write_text(text, encoding="utf-8")
        return prepare(configs.load(path, code_dir=code_dir)).groups


def run(
    prepared: Prepared,
    out: Path,
    *,
    config_folder: Path = Path(),
    command: Sequence[str] = (),
    running: Running = UNWATCHED,
    formats: Sequence[str] = ("png", "pdf"),
    fresh: bool = False,
) -> Finished:
    """Run a prepared experiment in a new folder under `out`. The paths of `code` are relative to `config_folder`.

    Unless `fresh`, runs are reused from an earlier folder of the same name with the same config (except its space),
    code, versions and device.

    Raises:
        UserError: the results do not fit on the disk. This is checked before the folder is created.
        Halted: the run was interrupted, or a file could not be written; `resume` continues the run.
        OSError: the folder can't be made.
    """
    refuse_small_disk(disk_space(prepared.groups, out))
    clock = time.perf_counter() - prepared.seconds
    resolved, began = prepared.resolved, datetime.now().astimezone()
    config = resolved.config
    text = configs.dump(config)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with resolved.precision():
        info: dict[str, Any] = {
            "name": config.name,
            "problem": _titled(config),
            "size": config.size,
            "status": "running",
            "config_folder": str(config_folder),
            "config": digest,
            "code": provenance.code_digests(config.code, config_folder),
            "identity": _identity(config, config_folder, running),
            **provenance.surroundings(command, config.precision, began),
        }
        earlier = None if fresh else Earlier.find(out / config.name, info["identity"], prepared.groups)
        info["earlier"] = earlier.folder.name if earlier else None
        files = {results.CONFIG: text, results.PROVENANCE: results.provenance_text(info)}
        folder = results.make_folder(out, config.name, digest[:8], began, files)
        store = Store(folder, prepared.space, reused=earlier.reused if earlier else None)
        notes = [earlier.note] if earlier else []
        return _work(folder, prepared, info, store, clock, running, formats, notes)


def resume(
    folder: Path,
    *,
    running: Running = UNWATCHED,
    formats: Sequence[str] = ("png", "pdf"),
) -> Finished:
    """Continue an experiment that was stopped; the results that exist are checked first.

    Raises:
        Halted: as `run`.
        StoreError: there are no results; their config, data or code changed; or another process writes to the folder.
    """
    clock = time.perf_counter()
    info = results.provenance_of(folder)
    code_dir = results.refuse_changed(folder)
    resolved = configs.load(folder / results.CONFIG, code_dir=code_dir)
    with resolved.precision():
        prepared = prepare(resolved)
        if running.stop():
            raise Halted(folder, "interrupted", interrupted=True)
        same = _identity(resolved.config, code_dir, running) == info["identity"]
        notes = [] if same else [
            "the versions, the code or the device differ from those that the runs began with: "
            "old and new results may differ in their last digits"
        ]  # fmt: skip
        earlier = (
            Earlier.of(folder.resolve().parent / info["earlier"], prepared.groups) if same and info["earlier"] else None
        )
        reused = earlier.reused if earlier else None
        # If versions, code or device differ, checkpoints are not used, and unfinished runs start again.
        store = Store(folder, prepared.space, resume=True, reused=reused, checkpoints=same)
        return _work(folder, prepared, info, store, clock, running, formats, notes)


def _work(
    folder: Path,
    prepared: Prepared,
    info: dict[str, Any],
    store: Store,
    clock: float,
    running: Running,
    formats: Sequence[str],
    notes: list[str],
) -> Finished:
    """Evaluate the runs that the store lacks; then write runs.csv, provenance, landscapes, claims and figures.

    `clock`: the time, as of `time.perf_counter`, at which the wall time begins.

    Raises:
        Halted: the run was interrupted, a file could not be written, or all workers were lost.
        PartlyFailed: some runs raised an exception on their worker.
    """
    resolved, compute = prepared.resolved, prepared.resolved.config.compute
    settings = Settings(**compute.model_dump(), progress=running.progress, stop=running.stop)
    try:
        with store:
            store.refuse_changed(prepared.groups)
            before, started = dict(info), time.perf_counter()
            timings = _executed(prepared, store, settings, running, info["config_folder"])
            wait, run = sum(t.wait_seconds for t in timings), sum(t.run_seconds for t in timings)
            if running.executor is not None:
                wait, run = 0.0, time.perf_counter() - started

            def times() -> dict[str, Any]:
                return provenance.work(timings, WallTime(time.perf_counter() - clock, wait, run), before)

            info["workers"] = running.executor and running.executor.worker_info._asdict()
            info |= {"status": "finished", "stable_lr": stable_lr(resolved)}
            info["stability"] = stability_of_sharpness(resolved)
            info["layers"] = layer_names(resolved)
            info["directions"] = metric_directions(resolved.problem, space(resolved.over))
            info["batch_size"] = resolved.config.train.batch_size
            info |= times()
            results.write_runs(folder)
            results.write_provenance(folder, info)
            finished = _evaluated(folder, resolved, running, formats, [*notes, *store.notes])
            info |= {"failures": [failure.message for failure in finished.failures], **times()}
            results.write_provenance(folder, info)
            return finished
    except (Stopped, KeyboardInterrupt):
        raise Halted(folder, "interrupted", interrupted=True) from None
    except WorkersError as error:
        raise Halted(folder, str(error), interrupted=False) from error
    except FailedRunsError as failed:
        raise PartlyFailed(folder, str(failed)) from failed
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cause = f"the disk of {folder} is full" if full else f"{error.filename or folder}: {error.strerror}"
        raise Halted(folder, cause, interrupted=False) from error


def _executed(
    prepared: Prepared, store: Store, settings: Settings, running: Running, config_folder: str
) -> list[Timing]:
    if running.executor is None:
        return execute(prepared.groups, store, settings, run_mesh(running.devices))
    source = functools.partial(groups_of, configs.dump(prepared.resolved.config), config_folder)
    return execute_on(running.executor, prepared.groups, source, store, settings)


def _identity(config: Config, config_folder: Path, running: Running) -> str:
    device = running.executor.worker_info.device if running.executor else None
    return provenance.identity(config, config_folder, device)


def _evaluated(
    folder: Path, resolved: Resolved, running: Running, formats: Sequence[str], notes: list[str]
) -> Finished:
    """Compute the landscapes, check the claims and draw the figures of a finished sweep.

    Raises:
        Stopped: `running.stop` returned true.
    """
    failures: list[Failure] = []
    missing: list[str] = []
    if resolved.config.landscape is not None:
        missing = parts_of(resolved.config)
        with recorded(f"could not compute the landscape ({resolved.position('landscape')})", failures):
            missing = write_landscapes(folder, resolved, progress=running.progress, stop=running.stop)
            if missing:
                notes.append("no landscape: every run of every rule diverged")
    if running.stop():
        raise Stopped
    claims = check_all(folder, resolved, failures)
    figures = draw_all(folder, resolved, formats, failures, without=missing, stop=running.stop)
    return Finished(folder, figures, failures, notes, claims)


def write_landscapes(
    folder: Path,
    resolved: Resolved,
    *,
    runs: str | Mapping[str, Any] | None = None,
    variant: str = "",
    progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Compute the landscapes that a config's figures show, and add them to its results.

    If the computation is stopped, its finished parts stay in the folder, and the next call continues from them.

    Args:
        folder, resolved: the results, and their config.
        runs: the runs to show: "best", "all", or the values of one run's axes. None: `landscape.runs` of the config.
        variant: a suffix for the names of the parts, so that the landscapes of the config are not overwritten.
        progress, stop: as in `gdlab.evaluate`.

    Returns:
        The names of the parts that were not computed, since every run that they would show diverged.

    Raises:
        gdlab.errors.SelectionError: there is no such run.
        ConfigError: the landscape is impossible for the problem of the chosen runs (see `check_landscape`).
        Stopped: `stop` returned true.
    """
    config = resolved.config
    assert config.landscape is not None
    data, chosen = results.open_results(folder), runs or config.landscape.runs
    if isinstance(chosen, str):
        selection = {"best": best_runs, "all": all_runs}[chosen](resolved, data)
    else:
        selection = one_run(resolved, data, chosen)
    wanted = parts_of(config)
    partial = folder / ".landscapes"
    made = landscapes_of(resolved, data, selection, wanted, folder=partial, progress=progress, stop=stop)
    for name, found in made.items():
        results.write_part(folder, name + variant, found)
    shutil.rmtree(partial, ignore_errors=True)
    return [name for name in wanted if name not in made]


def landscape(
    folder: Path,
    resolved: Resolved,
    *,
    runs: str | Mapping[str, Any] | None = None,
    variant: str = "",
    running: Running = UNWATCHED,
    formats: Sequence[str] = ("png", "pdf"),
    exports: Sequence[str] = (),
) -> list[Path]:
    """Compute and draw the landscapes of finished results. Returns the files.

    Args:
        folder, resolved: the results, and their config with the figures to draw.
        runs, variant: as in `write_landscapes`; the names of the files also end with the variant.
        running, formats: run-time options, and the formats of the figures.
        exports: further formats in which the shared plane is written: "vtk", "html", "gif", "mp4".

    Raises:
        Halted: the computation was interrupted.
        StoreError: the data or the code of the results changed, so the surface would differ.
        UserError: a figure could not be drawn, or there is no run to show.
    """
    try:
        with locked(folder):
            check_programs(folder, prepare(resolved).groups)
            missing = write_landscapes(
                folder, resolved, runs=runs, variant=variant, progress=running.progress, stop=running.stop
            )
    except (Stopped, KeyboardInterrupt):
        raise Halted(folder, "interrupted", interrupted=True) from None
    if missing:
        raise UserError(f"{folder}: no landscape, since every run that it would show diverged")
    failures: list[Failure] = []
    drawn = draw_all(folder, resolved, formats, failures, variant=variant)
    if failures:
        raise UserError("\n".join(failure.message for failure in failures)) from failures[0].error
    return drawn + [path for ending in exports for path in export(folder, ending, variant)]


def chosen_runs(folder: Path, words: str | None) -> tuple[str | dict[str, Any] | None, list[str]]:
    """The runs that `--run` names: best, all, a row of runs.csv, or axes as in rule=adam,lr=0.01.

    Returns:
        The runs, as in `write_landscapes`; and a notice for each number replaced by the nearest value of its axis.

    Raises:
        UserError: the text has none of these forms.
    """
    if words is None or words in ("best", "all"):
        return words, []
    if words.isdecimal():
        return results.run_of_row(folder, int(words)), []
    pairs = [pair.partition("=") for pair in words.split(",")]
    if not all(name and equals and value for name, equals, value in pairs):
        raise UserError(f"--run must be best, all, a row of runs.csv, or axes as in rule=adam,lr=0.01; not {words!r}")
    wanted = {name.strip(): value.strip() for name, _, value in pairs}
    return nearest_values(results.open_results(folder), wanted)


def _titled(config: Config) -> str:
    """The problem in a figure's title: its kind, and the name of its data."""
    data = config.problem.hyperparameters.get("data")
    return f"{config.problem.kind} on {data}" if isinstance(data, str) else config.problem.kind
