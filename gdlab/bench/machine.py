"""Description of the machine on which a benchmark runs."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import jax


class Machine(NamedTuple):
    """Hardware and package versions."""

    processor: str
    cores: int
    devices: Sequence[str]
    versions: dict[str, str]


def machine() -> Machine:
    """This machine; initialises the JAX backend."""
    devices = [device.device_kind for device in jax.local_devices()]
    versions = {"python": platform.python_version()}
    for package in ("gdlab", "jax", "jaxlib", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return Machine(_processor(), os.cpu_count() or 1, devices, versions)


def described(there: Machine) -> str:
    """A machine in one line: "AMD EPYC, 2 cores, 2 x cpu, python 3.11.13, jax 0.10.2"."""
    kinds = dict.fromkeys(there.devices)
    devices = [f"{sum(kind == device for device in there.devices)} x {kind}" for kind in kinds]
    versions = [f"{package} {number}" for package, number in there.versions.items()]
    return ", ".join((there.processor, f"{there.cores} cores", *devices, *versions))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
