"""Set up JAX before its backend starts: CPU cores as devices, and a cache of compiled programs on disk."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gdlab.errors import UserError

if TYPE_CHECKING:
    import jax

# An option of XLA's CPU compiler: a loop whose values take fewer bytes becomes one native function. By default each
# kernel in it is called by XLA's runtime, which takes longer than the kernels of a small model. JAX passes it on only
# from the environment, and reads it once, when the backend starts.
_LOOPS = "xla_cpu_small_while_loop_byte_threshold"
LOOP_BYTES = 10**6
_DEVICES = "jax_num_cpu_devices"
_EXTRA = "--xla_backend_extra_options="
# The environment variable that names the folder of compiled programs; if it is empty, there is no cache.
CACHE = "GDLAB_CACHE"


class DevicesError(UserError):
    """There are fewer devices than requested."""


class CacheError(UserError):
    """The folder of compiled programs belongs to another user."""


def use_all_cores() -> None:
    """Set up JAX for sweeps on a CPU: each core becomes a device, and loops of small models become native functions.

    Call it before anything uses JAX: `gdlab.use_all_cores()` directly after the imports. Other settings in the
    environment variable `XLA_FLAGS` are kept, and so is an own value of this option, of
    `jax.config.jax_num_cpu_devices` and of `XLA_FLAGS`. The command line does the same. `gdlab doctor` says whether the
    option for loops is set.

    Raises:
        DevicesError: JAX has started its backend, so its devices and options are fixed.
    """
    if not _configure(None):
        raise DevicesError(
            "JAX has started, so its devices are fixed: call gdlab.use_all_cores() before the first computation"
        )


def _configure(devices: int | None) -> bool:
    """Set the number of CPU devices and the option for loops; false if the backend has started."""
    import jax

    if _started():
        return False
    _set_loops()
    if jax.config.values[_DEVICES] < 0:
        cores = os.cpu_count() or 1
        jax.config.update(_DEVICES, min(devices or cores, cores))
    return True


def _started() -> bool:
    """Whether the backend of JAX has started: then JAX refuses another number of CPU devices."""
    import jax

    now = jax.config.values[_DEVICES]
    try:
        jax.config.update(_DEVICES, max(now, 0) + 1)
    except RuntimeError:
        return True
    jax.config.update(_DEVICES, now)
    return False


def native_loops() -> bool:
    """Whether `XLA_FLAGS` makes loops of small models native functions."""
    return _LOOPS in os.environ.get("XLA_FLAGS", "")


def _set_loops() -> None:
    """Add the option for loops to `XLA_FLAGS`, unless it is there."""
    if native_loops():
        return
    option, flags = f"{_LOOPS}={LOOP_BYTES}", os.environ.get("XLA_FLAGS", "").split()
    extra = [flag for flag in flags if flag.startswith(_EXTRA)]
    others = [flag for flag in flags if flag not in extra[-1:]]  # XLA uses the last of equal flags
    joined = ",".join([*(flag.removeprefix(_EXTRA) for flag in extra[-1:]), option])
    os.environ["XLA_FLAGS"] = " ".join([*others, f"{_EXTRA}{joined}"])


def start(devices: int | None = None) -> "list[jax.Device]":
    """The first `devices` devices, by default all.

    If the backend has not started, each CPU core becomes a device, and loops of small models become native functions
    (see `use_all_cores`). Compiled programs are cached on disk: in the folder that `GDLAB_CACHE` names, by default
    `$XDG_CACHE_HOME/gdlab` or `~/.cache/gdlab`. An empty `GDLAB_CACHE` turns the cache off. Only the user may read or
    write the folder, because programs in it are executed.

    Raises:
        DevicesError: there are fewer devices.
        CacheError: the cache folder belongs to another user.
    """
    import jax

    _configure(devices)
    folder = cache_folder()
    if folder is not None:
        with contextlib.suppress(OSError):  # no cache where the folder can't be created, as in a read-only home
            jax.config.update("jax_compilation_cache_dir", str(_private(folder / "programs")))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    found = jax.devices()
    if devices is not None and devices > len(found):
        raise DevicesError(
            f"{devices} devices were requested, but there are only {len(found)} ({found[0].device_kind})"
        )
    return found[:devices]


def cache_folder() -> Path | None:
    """The folder of compiled programs; None if the cache is off."""
    named = os.environ.get(CACHE)
    if named is not None:
        return Path(named) if named else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gdlab"


def _private(folder: Path) -> Path:
    """The folder, created if it is missing, which only its owner may use."""
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        if folder.stat().st_uid != os.getuid():
            raise CacheError(
                f"the folder of compiled programs {folder} belongs to another user, who could put programs into it; "
                f"set {CACHE} to a folder of yours, or to an empty string to turn the cache off"
            )
        folder.chmod(0o700)
    return folder
