"""The recipes in docs/clusters, run on one machine."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import xarray
from ruamel.yaml import YAML

DOCS = Path(__file__).parents[2] / "docs"
RECIPES = DOCS / "clusters"
SBATCH = """\
#!/bin/sh
sh "$1" > /dev/null 2>&1 &
echo "Submitted batch job $!"
"""
CONFIG = """\
name: small
problem: {kind: rosenbrock}
rules: {gd: {kind: gd}}
sweep: {lr: {log: [1e-4, 1e-1, 12]}, seed: 2}
train: {steps: 50}
"""


def call(*words, folder, **environment):
    quiet = {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [*map(str, words)],
        cwd=folder,
        env={**os.environ, **quiet, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout


def test_the_page_names_existing_files():
    named = set(re.findall(r"\]\((clusters/[^)]*)\)", (DOCS / "clusters.md").read_text()))
    assert named == {f"clusters/{path.name}" for path in RECIPES.iterdir() if path.is_file()}


def test_the_kubernetes_manifest_is_consistent():
    """Labels and selectors, ports and names agree, and mounted volumes exist."""
    parts = list(YAML(typ="safe").load_all(RECIPES / "kubernetes.yaml"))
    service = next(part for part in parts if part["kind"] == "Service")
    pods = {part["metadata"]["name"]: part["spec"]["template"] for part in parts if "template" in part["spec"]}
    assert set(pods) == {"gdlab-scheduler", "gdlab-worker", "gdlab-run"}
    for part in parts:
        if part["kind"] == "Deployment":
            labels = part["spec"]["template"]["metadata"]["labels"]
            assert part["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= pods["gdlab-scheduler"]["metadata"]["labels"].items()
    address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    args = {name: pod["spec"]["containers"][0]["args"] for name, pod in pods.items()}
    assert f"tcp://{address}" in args["gdlab-worker"]
    assert f"dask://{address}" in args["gdlab-run"]
    assert str(service["spec"]["ports"][0]["port"]) in args["gdlab-scheduler"]
    for pod in pods.values():
        mounted = {mount["name"] for each in pod["spec"]["containers"] for mount in each.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod["spec"].get("volumes", [])}


@pytest.mark.slow
def test_workers_of_this_machine(tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "local.py").write_text((RECIPES / "local.py").read_text())
    assert "the same bits: True" in call(sys.executable, "local.py", folder=tmp_path)


@pytest.mark.slow
def test_slurm_with_jobs_that_begin_at_once(tmp_path):
    pytest.importorskip("dask_jobqueue")
    recipe = (RECIPES / "slurm.py").read_text()
    for old, new in (("JOBS = 8", "JOBS = 2"), ("CORES = 16", "CORES = 1"), ("READY = 4", "READY = 2")):
        assert old in recipe
        recipe = recipe.replace(old, new)
    (tmp_path / "slurm.py").write_text(recipe)
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", '#!/bin/sh\nkill "$@"\n')):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    out = call(sys.executable, "slurm.py", "c.yaml", folder=tmp_path, PATH=path)
    assert "= 24 runs" in out


@pytest.mark.slow
def test_one_program_of_two_processes(tmp_path):
    for name in ("one_program.py", "one_program.sh"):
        (tmp_path / name).write_text((RECIPES / name).read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"PYTHON": sys.executable, "PORT": str(port), "JAX_NUM_CPU_DEVICES": "2"}
    out = call("sh", "one_program.sh", "localhost", "localhost", folder=tmp_path, **environment)
    assert "768 runs on 4 devices of 2 hosts" in out
    data = xarray.open_zarr(tmp_path / "one_program.zarr", consolidated=False, chunks=None)
    assert data["loss"].dims == ("lr", "beta", "seed", "step")
    assert data["final_loss"].notnull().any()
