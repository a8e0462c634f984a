"""A config becomes a results folder: swept, stored, told where it came from, drawn; or what is left of one goes on."""

import errno
import functools
import hashlib
import shutil
import tempfile
import traceback
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
from gdlab.experiment.figures import draw_all, export, part_of
from gdlab.experiment.landscapes import PARTS, SHARED, landscapes_of, problems_of, refuse_inexact
from gdlab.experiment.layer_names import layer_names
from gdlab.experiment.reuse import Earlier
from gdlab.experiment.run_selection import all_runs, best_runs, one_run
from gdlab.experiment.theory import stability_of_sharpness, stable_lr
from gdlab.training.sweep import STATIC, assignment, metric_directions


class ExperimentError(UserError):
    """The experiment can't be run as the config asks."""


class Finished(NamedTuple):
    """A finished experiment."""

    folder: Path
    figures: list[Path]
    troubles: list[str]  # what could not be checked or drawn, each with its cause
    notes: list[str]  # what there was nothing to draw of, what was found damaged, what was at hand
    claims: list[dict[str, Any]]  # as in claims.json


class Prepared(NamedTuple):
    """A config as the engine runs it."""

    resolved: Resolved
    space: Space
    groups: tuple[Group, ...]


class Running(NamedTuple):
    """What a caller wants to hear, and to say, while an experiment runs."""

    devices: Sequence[jax.Device] | None = None  # None: all there are
    progress: Callable[[Progress], None] = lambda progress: None
    stop: Callable[[], bool] = lambda: False  # asked after each segment: whether to stop there
    crew: ExecutorAdapter | None = None  # whose workers run it; None: this process


UNWATCHED = Running()


def prepare(resolved: Resolved) -> Prepared:
    """Plan the runs of a config, by tracing each of its programs once.

    Raises:
        ExperimentError: what the config asks for can't be traced: a rule or a problem of the user's fails, say.
        ConfigError: an exact plane, and a problem that is not of two parameters.
    """
    config, train = resolved.config, resolved.config.train
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
            if config.landscape is not None and config.landscape.plane == "exact":
                refuse_inexact(resolved, problems_of(resolved, space))
            return Prepared(resolved, space, plan(space, build, STATIC))
    except UserError:
        raise
    except Exception as error:  # whatever a rule or a problem of the user's may raise
        raise ExperimentError(_explained(error)) from error


def groups_of(text: str, code_dir: str) -> tuple[Group, ...]:
    """What `prepare` plans for the text of a config, on a worker. Its `code` is looked for in `code_dir`."""
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
    """Run a prepared experiment into a new folder under `out`. The config's `code` is looked for in `config_folder`.

    Runs that an earlier folder of the same name has, of the same config but for its space, code, versions and machine,
    are taken from there, unless `fresh`.

    Raises:
        Halted: it was interrupted, or a file could not be written; `resume` goes on.
        OSError: the folder can't be made.
    """
    resolved, began = prepared.resolved, datetime.now().astimezone()
    config = resolved.config
    text = configs.dump(config)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with resolved.precision():
        told: dict[str, Any] = {
            "name": config.name,
            "problem": _titled(config),
            "size": config.size,
            "status": "running",
        }
        told |= {"config_folder": str(config_folder), "config": digest}
        told |= {"identity": _identity(config, config_folder, running)}
        told |= provenance.surroundings(command, config.precision, began)
        earlier = None if fresh else Earlier.find(out / config.name, told["identity"], prepared.groups)
        told["earlier"] = earlier.folder.name if earlier else None
        files = {results.CONFIG: text, results.PROVENANCE: results.provenance_text(told)}
        folder = results.make_folder(out, config.name, digest[:8], began, files)
        store = Store(folder, prepared.space, reused=earlier.known if earlier else None)
        notes = [earlier.note] if earlier else []
        return _work(folder, prepared, told, store, began, running, formats, notes)


def resume(
    folder: Path,
    *,
    running: Running = UNWATCHED,
    formats: Sequence[str] = ("png", "pdf"),
) -> Finished:
    """Go on with an experiment whose runs stopped before their end, from where it was; check what there is.

    Raises:
        Halted: as `run`.
        StoreError: there are no results there; their config, data or code changed; or another process writes there.
    """
    told = results.provenance_of(folder)
    results.refuse_other_config(folder)
    resolved = configs.load(folder / results.CONFIG, code_dir=told["config_folder"])
    began = datetime.now().astimezone()
    with resolved.precision():
        prepared = prepare(resolved)
        same = _identity(resolved.config, Path(told["config_folder"]), running) == told["identity"]
        notes = [] if same else [
            "the versions, the code or the machine are not those that the runs began with: "
            "the last digits of old and new results may have been rounded differently"
        ]  # fmt: skip
        earlier = (
            Earlier.of(folder.resolve().parent / told["earlier"], prepared.groups) if same and told["earlier"] else None
        )
        known = earlier.known if earlier else None
        # No run is begun by one version and ended by another.
        store = Store(folder, prepared.space, resume=True, reused=known, checkpoints=same)
        return _work(folder, prepared, told, store, began, running, formats, notes)


def _work(
    folder: Path,
    prepared: Prepared,
    told: dict[str, Any],
    store: Store,
    began: datetime,
    running: Running,
    formats: Sequence[str],
    notes: list[str],
) -> Finished:
    """Run what the store lacks, and make all that is made of it.

    Raises:
        Halted: it was interrupted, a file could not be written, or the workers are gone.
        PartlyFailed: some runs raised an exception on their worker.
    """
    resolved, compute = prepared.resolved, prepared.resolved.config.compute
    settings = Settings(compute.chunk, compute.tile, progress=running.progress, stop=running.stop)
    try:
        with store:
            store.refuse_changed(prepared.groups)
            timings = _executed(prepared, store, settings, running, told["config_folder"])
            told["workers"] = running.crew and running.crew.worker_info._asdict()
            told |= {"status": "finished", "stable_lr": stable_lr(resolved)}
            told["stability"] = stability_of_sharpness(resolved)
            told["layers"] = layer_names(resolved)
            told["directions"] = metric_directions(resolved.problem, space(resolved.over))
            told |= provenance.work(timings, began, datetime.now().astimezone(), before=told)
            return _made_of(folder, resolved, told, running, formats, [*notes, *store.notes])
    except (Stopped, KeyboardInterrupt):
        raise Halted(folder, "interrupted", interrupted=True) from None
    except WorkersError as error:
        raise Halted(folder, str(error), interrupted=False) from error
    except FailedRunsError as failed:
        raise PartlyFailed(folder, str(failed)) from failed
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cause = f"the disk that {folder} is on is full" if full else f"{error.filename or folder}: {error.strerror}"
        raise Halted(folder, cause, interrupted=False) from error


def _executed(
    prepared: Prepared, store: Store, settings: Settings, running: Running, config_folder: str
) -> list[Timing]:
    if running.crew is None:
        return execute(prepared.groups, store, settings, run_mesh(running.devices))
    source = functools.partial(groups_of, configs.dump(prepared.resolved.config), config_folder)
    return execute_on(running.crew, prepared.groups, source, store, settings)


def _identity(config: Config, config_folder: Path, running: Running) -> str:
    return provenance.identity(config, config_folder, running.crew.worker_info.device if running.crew else None)


def _made_of(
    folder: Path, resolved: Resolved, told: dict[str, Any], running: Running, formats: Sequence[str], notes: list[str]
) -> Finished:
    """Write and draw what follows from the results."""

    def stop_if_asked() -> None:
        if running.stop():
            raise Stopped

    results.write_runs(folder)
    lacking: list[str] = []
    if resolved.config.landscape is not None:
        lacking = write_landscapes(folder, resolved, progress=running.progress, stop=running.stop)
        if lacking:
            notes.append("no landscape: every run of every rule diverged")
    results.write_provenance(folder, told)
    stop_if_asked()
    claims, unchecked = check_all(folder, resolved)
    figures, undrawn = draw_all(folder, resolved, formats, but=lacking)
    troubles = [*(f"could not check {one}" for one in unchecked), *(f"could not draw {one}" for one in undrawn)]
    return Finished(folder, figures, troubles, notes, claims)


def write_landscapes(
    folder: Path,
    resolved: Resolved,
    *,
    runs: str | Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Compute the landscapes that a config's figures are drawn from, and add them to its results.

    `runs`: which runs are shown, if not those that the config says: "best", "all", or the values of one run's axes.
    Meanwhile what is computed is kept in the folder, so that a call that was stopped goes on from there.

    Returns:
        The parts that could not be made, since every run of every rule diverged.

    Raises:
        gdlab.errors.SelectionError: there is no such run.
        ConfigError: an exact plane, and a problem that is not of two parameters.
        Stopped: `stop` said so.
    """
    config = resolved.config
    assert config.landscape is not None
    data, chosen = results.open_results(folder), runs or config.landscape.runs
    if isinstance(chosen, str):
        selection = {"best": best_runs, "all": all_runs}[chosen](resolved, data)
    else:
        selection = one_run(resolved, data, chosen)
    of_figures = [part_of(figure.kind) for figure in config.figures]
    wanted = list(dict.fromkeys([SHARED, *(of for of in of_figures if of in PARTS)]))
    kept = folder / ".landscapes"
    made = landscapes_of(resolved, data, selection, wanted, folder=kept, progress=progress, stop=stop)
    for name, found in made.items():
        results.write_part(folder, name, found)
    shutil.rmtree(kept, ignore_errors=True)
    return [name for name in wanted if name not in made]


def landscape(
    folder: Path,
    resolved: Resolved,
    *,
    runs: str | Mapping[str, Any] | None = None,
    running: Running = UNWATCHED,
    formats: Sequence[str] = ("png", "pdf"),
    exports: Sequence[str] = (),
) -> list[Path]:
    """Compute and draw the landscapes that a config's figures are drawn from, of finished results: the files written.

    `runs`: as in `write_landscapes`. `exports`: the endings of what is written of the shared plane beside the figures:
    "vtk", "html", "gif", "mp4".

    Raises:
        Halted: it was interrupted.
        StoreError: the data or the code that the results are of have changed, so the surface would be another.
        UserError: a figure could not be drawn, or nothing is left to show.
    """
    try:
        with locked(folder):
            check_programs(folder, prepare(resolved).groups)
            lacking = write_landscapes(folder, resolved, runs=runs, progress=running.progress, stop=running.stop)
    except (Stopped, KeyboardInterrupt):
        raise Halted(folder, "interrupted", interrupted=True) from None
    if lacking:
        raise UserError(f"{folder}: no landscape, since every run that it would show diverged")
    drawn, troubles = draw_all(folder, resolved, formats)
    if troubles:
        raise UserError("\n".join(f"could not draw {trouble}" for trouble in troubles))
    return drawn + [path for ending in exports for path in export(folder, ending)]


def landscape_figures(config: Config) -> list[str]:
    """The figures of a config that are drawn from a landscape."""
    return list(dict.fromkeys(figure.kind for figure in config.figures if part_of(figure.kind) in PARTS))


def chosen_runs(folder: Path, words: str | None) -> str | dict[str, str] | None:
    """Which runs the words on a command line mean: best, all, a row of runs.csv, or axes as in rule=adam,lr=0.01.

    Raises:
        UserError: none of these.
    """
    if words is None or words in ("best", "all"):
        return words
    if words.isdecimal():
        return results.run_of_row(folder, int(words))
    pairs = [pair.partition("=") for pair in words.split(",")]
    if not all(name and equals and value for name, equals, value in pairs):
        raise UserError(f"--run is best, all, a row of runs.csv, or axes as in rule=adam,lr=0.01; not {words!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _explained(error: Exception) -> str:
    """What went wrong while the user's rule or problem was traced, and in which line of whose file."""
    here = str(Path(__file__).parents[1])
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(here)]
    place = f" (in {theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{place}"


def _titled(config: Config) -> str:
    """The problem in a figure's title: its kind, and the data that it names."""
    data = config.problem.hyperparameters.get("data")
    return f"{config.problem.kind} on {data}" if isinstance(data, str) else config.problem.kind
