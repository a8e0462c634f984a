"""Provenance of a result: versions, device, precision, command, code, layout and times."""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from gdlab.config import Config
from gdlab.config.dump import plain
from gdlab.engine.execute import Timing
from gdlab.engine.worker import jax_settings

_HERE = Path(__file__).parents[1]  # the package gdlab
PACKAGES = ("gdlab", "jax", "jaxlib", "numpy", "optax", "flax", "scikit-learn", "xarray", "zarr", "matplotlib")


def surroundings(command: Sequence[str], precision: str, started: datetime) -> dict[str, Any]:
    """The part of the provenance that is known before the runs begin."""
    import jax

    devices = jax.devices()
    return {
        "started": started.isoformat(timespec="seconds"),
        "command": list(command),
        "git_commit": git_commit(Path.cwd()),
        "versions": {"python": platform.python_version(), **versions()},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [device.device_kind for device in devices],
        "backend": jax.default_backend(),
        "precision": precision,
        "matmul_precision": str(jax.config.values["jax_default_matmul_precision"] or "default"),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


class WallTime(NamedTuple):
    """Seconds of wall time, and the parts of it that the engine measures."""

    total: float
    wait: float  # tracing programs and waiting for compilation
    run: float  # running and storing the results; with an executor, all the time in which its workers were used


# The times, and the number of programs, which add up over the parts of an experiment that was resumed.
_ADDED = ("wall_seconds", "wait_seconds", "run_seconds", "compile_seconds", "programs")


def work(timings: Sequence[Timing], wall: WallTime, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The part of the provenance that is known after the runs: times in seconds, layout and memory of each group.

    `wait_seconds`, `run_seconds` and `rest_seconds` add up to `wall_seconds`. `compile_seconds` overlaps with them,
    since the `programs` are compiled in background threads. `chunk` is the number of rows in a chunk and the number of
    runs in a row; the runs of a row share batches. With an executor the times of a group are sums over its workers.

    `before`: the provenance before a resume; its times are added.
    """
    info = _work(timings, wall)
    for new, old in ((info, before or {}), *zip(info["groups"], (before or {}).get("groups", ()), strict=False)):
        for key in _ADDED:
            if key in new:
                new[key] = round(new[key] + old.get(key, 0), 3)
    info["rest_seconds"] = round(info["wall_seconds"] - info["wait_seconds"] - info["run_seconds"], 3)
    return info


def _work(timings: Sequence[Timing], wall: WallTime) -> dict[str, Any]:
    return {
        "wall_seconds": wall.total,
        "wait_seconds": wall.wait,
        "run_seconds": wall.run,
        "compile_seconds": sum(timing.compile_seconds for timing in timings),
        "programs": sum(timing.programs for timing in timings),
        "groups": [
            {
                "group": timing.label,
                "runs": timing.runs,
                "chunk": [timing.layout.rows, timing.layout.width],
                "batching": timing.layout.batching,
                "check_every": timing.layout.check_every,
                "tile": timing.layout.tile,
                "segments": timing.layout.segments,
                "devices": timing.devices,
                "memory_bytes": timing.memory,
                "programs": timing.programs,
                "compile_seconds": timing.compile_seconds,
                "wait_seconds": timing.wait_seconds,
                "run_seconds": timing.run_seconds,
            }
            for timing in timings
        ],
    }


# Sections that do not change the result of a run.
_IGNORED = ("name", "sweep", "landscape", "figures", "checks", "size", "sizes")


def identity(config: Config, config_folder: Path, device: str | None = None) -> str:
    """A digest of everything that a run's result depends on, except the run's hyperparameters and seed.

    It covers the config (without `_IGNORED`), the files of `code` and the user's modules that they import, the code of
    gdlab, the versions of the libraries, the settings of JAX, and the kind of device (by default the device of this
    process). Files that the user's code reads are not covered; the store compares the arrays instead.
    """
    import jax

    settings = {name: value for name, value in plain(config).items() if name not in _IGNORED}
    code = [config_folder / name for name in config.code]
    own = sorted(_HERE.rglob("*.py"))
    device = device or jax.devices()[0].device_kind
    jax_state = [jax_settings(), os.environ.get("XLA_FLAGS", "")]
    digest = hashlib.sha256(json.dumps([settings, versions(), device, jax_state], sort_keys=True).encode())
    for path in [*code, *own, *_imported(code)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def code_digests(code: Sequence[str], config_folder: Path) -> dict[str, str]:
    """The SHA-256 digest of each file of `code`, by its name in the config."""
    return {name: hashlib.sha256((config_folder / name).read_bytes()).hexdigest() for name in code}


def _imported(code: Sequence[Path]) -> list[Path]:
    """The files of the user's modules that the files of `code` import, directly or indirectly.

    Installed packages, the standard library and gdlab are left out. Imports are read from the source, so modules that
    only other code has loaded into this process are left out.
    """
    excluded = (*(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")), str(_HERE))
    seen: dict[Path, None] = {}
    waiting = [(path, "") for path in code]
    while waiting:
        path, package = waiting.pop()
        for name in _names(path, package):
            module = sys.modules.get(name)
            file = getattr(module, "__file__", None) or ""
            if (
                file.endswith(".py")
                and not file.startswith(excluded)
                and Path(file) not in seen
                and Path(file).is_file()
            ):
                seen[Path(file)] = None
                waiting.append((Path(file), getattr(module, "__package__", None) or ""))
    return sorted(seen)


def _names(path: Path, package: str) -> Iterator[str]:
    """The modules that a file imports, imported names that may be modules, and their parent packages."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def versions() -> dict[str, str | None]:
    """The installed version of each package that a result can depend on; None if it is not installed."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def git_commit(folder: Path) -> str | None:
    """The commit of the checkout around a folder, with "+changes" if tracked files differ; None outside a checkout."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+changes" if changed else "")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
