"""The programs of configs and rules can be lowered for GPUs and TPUs, on a machine that has neither.

Lowering finds operations that JAX does not implement on a platform. It does not show that XLA can compile the program
there.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab.config import load
from gdlab.engine.chunk_programs import chunk_programs
from gdlab.engine.execute import run_mesh
from gdlab.engine.layout import lay_out
from gdlab.engine.plan import plan, records
from gdlab.engine.program import sharded_program
from gdlab.experiment.run import prepare
from gdlab.training.sweep import assignment
from tests.rules.rule_cases import ENTRIES

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
PLATFORMS = ("cuda", "tpu")
# Their programs take less than a few seconds to trace and lower.
FAST = ("baird", "deep_linear", "fractal_boundary", "learning_rate_too_high", "momentum_map", "own_rule")
# Rules that factorise matrices or solve linear systems.
MATRICES = ("gauss_newton", "levenberg_marquardt", "muon", "natural_gradient", "newton", "shampoo", "soap")


def lowered(groups, platform):
    """The text of every program of some groups for a platform, with two runs per chunk."""
    for group in groups:
        process = group.process
        layout = lay_out(
            group.outer_counts(), group.cost, records(process), process.steps, 1, cached=False, chunk=2, tile=2
        )
        programs = chunk_programs(group, layout, 1, run_mesh())
        assert len(programs.programs) == 3
        yield from (program.lowered_for([platform]) for program in programs.programs)


def configs():
    """Every config on every platform."""
    for path in CONFIGS:
        for platform in PLATFORMS:
            marks = [] if path.stem in FAST else [pytest.mark.slow]
            if (path.stem, platform) == ("vanishing_gradients", "tpu"):
                reason = "its initial parameters need jnp.linalg.eigvals, which JAX does not implement on TPUs"
                marks.append(pytest.mark.xfail(raises=NotImplementedError, reason=reason))
            yield pytest.param(path, platform, id=f"{path.stem}-{platform}", marks=marks)


@pytest.mark.parametrize(("path", "platform"), list(configs()))
def test_programs_of_each_config(path, platform):
    resolved = load(path, ["train.steps=4"])
    with resolved.precision():
        assert all("func.func public @main" in text for text in lowered(prepare(resolved).groups, platform))


def groups_of_rule(make):
    """The groups of a sweep of a rule, on parameters that are a matrix and a vector."""
    design = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6)))

    def outputs(params, batch):
        return design @ jnp.concatenate([leaf.reshape(-1) for leaf in params])

    def criterion(z, batch):
        return 0.5 * jnp.sum((z - 1) ** 2)

    problem = gdlab.Problem(
        init=lambda key: (jnp.ones((2, 2)), jnp.ones(2)),
        loss=lambda params, batch: criterion(outputs(params, batch), batch),
        outputs=outputs,
        criterion=criterion,
    )
    build, points = assignment(problem, make, {"lr": [0.01, 0.1]}, steps=2)
    return plan(points, build)


@pytest.mark.parametrize(
    "entry", [pytest.param(e, id=e.kind, marks=() if e.kind in MATRICES else pytest.mark.slow) for e in ENTRIES]
)
def test_programs_of_each_rule(entry):
    groups = groups_of_rule(entry.make)
    for platform in PLATFORMS:
        assert all("func.func public @main" in text for text in lowered(groups, platform))


def test_factorisations_use_the_libraries_of_the_platform():
    groups = groups_of_rule(gdlab.rules.soap)
    cuda, tpu = ("\n".join(lowered(groups, platform)) for platform in PLATFORMS)
    assert "@cusolver_geqrf" in cuda
    assert "@Qr" in tpu
    assert "cusolver" not in tpu
    assert "lapack" not in cuda + tpu


def test_an_operation_without_a_lowering_is_reported():
    number = jax.ShapeDtypeStruct((1, 3, 3), np.float32)
    program = sharded_program(jnp.linalg.eig, run_mesh(), [number], [True])
    with pytest.raises(NotImplementedError, match="'eig' not found for platform tpu"):
        program.lowered_for(["tpu"])
    assert "func.func public @main" in program.lowered_for(["cpu"])
