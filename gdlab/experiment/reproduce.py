"""Experiments run one after the other, at a size, with what became of their claims."""

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
from gdlab.experiment.catalogue import Known, known_experiments

ALL = "all"
FAST = "fast"


class Reproduced(NamedTuple):
    """What came of one experiment; `folder` is None where it could not be run, and `troubles` say why."""

    slug: str
    folder: Path | None
    claims: list[dict[str, Any]]
    troubles: list[str]
    seconds: float


def chosen(slug: str) -> list[Known]:
    """The experiments that a slug means: one, or all.

    Raises:
        UserError: there is none of that name.
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
    wanted: Sequence[Known],
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
    """Run each in turn. Of several, one that lacks the size is run at its small one, and one that can't be run is told.

    Raises:
        gdlab.errors.Halted: it was interrupted.
        UserError: of one experiment, what is wrong with it.
    """
    for known in wanted:
        began = time.perf_counter()
        at = size if (len(wanted) == 1 and size != FAST) or size in known.sizes else SMALL
        changes = [*([f"size={at}"] if at != SMALL else []), *overrides]
        try:
            finished = experiment.run(
                experiment.prepare(configs.load(known.path, changes)),
                out,
                config_folder=known.path.resolve().parent,
                command=command,
                running=running,
                formats=formats,
                fresh=fresh,
            )
        except UserError as error:
            if len(wanted) == 1:
                raise
            yield Reproduced(known.slug, None, [], [str(error)], time.perf_counter() - began)
            continue
        seconds = time.perf_counter() - began
        if gallery_folder is not None:
            words = " ".join(["gdlab reproduce", known.slug, *(["--size", at] if at != SMALL else []), *overrides])
            told = {"words": known.words, "command": words, "seconds": round(seconds, 1), "size": at}
            gallery.add(gallery_folder, known.slug, finished.folder, {**told, "machine": _machine()})
        yield Reproduced(known.slug, finished.folder, finished.claims, finished.troubles, seconds)


def _machine() -> str:
    here = machine()
    return f"{here.processor}, {here.cores} cores, {' and '.join(dict.fromkeys(here.devices))}"
