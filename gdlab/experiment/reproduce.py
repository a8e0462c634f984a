"""Run experiments in sequence, at a size, and collect the verdicts on their claims."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gdlab import config as configs
from gdlab.bench.machine import machine
from gdlab.config.sizes import SMALL
from gdlab.errors import UserError, did_you_mean
from gdlab.experiment import gallery
from gdlab.experiment import run as experiment
from gdlab.experiment.catalogue import Experiment, known_experiments
from gdlab.experiment.failures import Failure

ALL = "all"
FAST = "fast"


class Reproduced(NamedTuple):
    """The outcome of one experiment. `folder` is None if it could not be run; `failures` has the cause."""

    slug: str
    folder: Path | None
    claims: list[dict[str, Any]]
    failures: list[Failure]
    seconds: float


def chosen(slug: str) -> list[Experiment]:
    """The experiment with a slug; all experiments for the slug "all".

    Raises:
        UserError: there is no such experiment.
    """
    known = known_experiments()
    if slug == ALL:
        return list(known.values())
    name = slug.replace("-", "_")
    if name not in known:
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        raise UserError(f"there is no experiment {slug!r}: {hint}")
    return [known[name]]


def reproduce(
    wanted: Sequence[Experiment],
    *,
    size: str,
    overrides: Sequence[str] = (),
    out: Path,
    command: Sequence[str],
    running: experiment.Running,
    formats: Sequence[str],
    fresh: bool = False,
    gallery_folder: Path | None = None,
) -> Iterator[Reproduced]:
    """Run experiments in sequence, and yield the outcome of each.

    If there are several, an experiment that lacks the size runs at size small (a single experiment does so only for
    size fast), and an experiment that can't be run yields a failure.

    Raises:
        gdlab.errors.Halted: the run was interrupted.
        UserError: the only experiment can't be run.
    """
    for one in wanted:
        began = time.perf_counter()
        at = size if (len(wanted) == 1 and size != FAST) or size in one.sizes else SMALL
        changes = [*([f"size={at}"] if at != SMALL else []), *overrides]
        try:
            finished = experiment.run(
                experiment.prepare(configs.load(one.path, changes)),
                out,
                config_folder=one.path.resolve().parent,
                command=command,
                running=running,
                formats=formats,
                fresh=fresh,
            )
        except UserError as error:
            if len(wanted) == 1:
                raise
            yield Reproduced(one.slug, None, [], [Failure(str(error), error)], time.perf_counter() - began)
            continue
        seconds = time.perf_counter() - began
        if gallery_folder is not None:
            words = " ".join(["gdlab reproduce", one.slug, *(["--size", at] if at != SMALL else []), *overrides])
            info = {"words": one.description, "command": words, "seconds": round(seconds, 1), "size": at}
            gallery.add(gallery_folder, one.slug, finished.folder, {**info, "machine": _machine()})
        yield Reproduced(one.slug, finished.folder, finished.claims, finished.failures, seconds)


def _machine() -> str:
    here = machine()
    return f"{here.processor}, {here.cores} cores, {' and '.join(dict.fromkeys(here.devices))}"
