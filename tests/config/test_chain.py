"""The chain of a sweep: spaces in sequence."""

import pytest

from gdlab import chain, log
from gdlab.cli.printing import described
from gdlab.config import Config, dump, load
from gdlab.engine.space import ABSENT, space

HEAD = "name: t\nproblem: {kind: bowl}\nrules: {g: {kind: gd}, m: {kind: momentum}}\ntrain: {steps: 3}\n"
CHAIN = """\
sweep:
  seed: 2
  chain:
    - {lr: {log: [1, 100, 3]}, rules.m.beta: [0, 1]}
    - {lr: [5], "form, beta": [[sum, 1], [mean, 0.5]]}
    - {}
"""


@pytest.fixture
def loaded(write):
    return lambda text: load(write(HEAD + text))


def test_chain_is_that_of_the_python_interface_times_the_other_axes(loaded):
    found = space(loaded(CHAIN).over)
    wanted = space(
        chain(
            {"lr": log(1, 100, 3), "rules.m.beta": [0.0, 1.0], "seed": [0, 1]},
            {"lr": [5.0], ("form", "beta"): [("sum", 1.0), ("mean", 0.5)], "seed": [0, 1]},
            {"seed": [0, 1]},
        )
    )
    run, seed = found.blocks
    assert (run.names, run.dim, run.size, seed.dim, seed.size) == (wanted.blocks[0].names, "run", 9, "seed", 2)
    assert [run.row(i) for i in range(9)] == [wanted.blocks[0].row(i) for i in range(9)]
    assert run.columns[3][-3:] == [1.0, 0.5, ABSENT]


def test_chain_points_are_counted(loaded):
    assert described(loaded(CHAIN)) == "t: 2 rule x 9 run x 2 seed = 36 runs of 3 steps"
    zipped = 'sweep: {"lr, beta": {sobol: {lr: [1, 2], beta: [1, 2]}, n: 5}, rules.m.form: [sum, mean], seed: 3}'
    assert described(loaded(zipped)) == "t: 2 rule x 5 lr+beta x 2 rules.m.form x 3 seed = 60 runs of 3 steps"


def test_chain_is_read_back_as_written(loaded, write):
    config = loaded(CHAIN).config
    assert load(write(dump(config))).config == Config.model_validate(config.model_dump()) == config


def test_chain_parts_without_an_axis_keep_the_given_value(write, errors_of):
    set_too = HEAD.replace("kind: gd}", "kind: gd, lr: 3}")
    parts = "sweep: {chain: [{lr: [1]}, {beta: [0.5]}]}"
    assert space(load(write(set_too + parts)).over).shape == (2,)
    both = errors_of(set_too + "sweep: {chain: [{lr: [1]}, {lr: [2], beta: [0.5]}]}")
    assert both.count("rules.g.lr is set, and lr is also a sweep axis") == 2


def test_chain_parts_must_all_give_parameters_without_a_default(loaded, errors_of):
    scheduled = HEAD.replace("{kind: gd}", "{kind: gd, lr: {kind: cosine, steps: 2}}")
    assert "rules.g.lr.peak: is missing" in errors_of(scheduled + "sweep: {chain: [{lr.peak: [1]}, {beta: [0.5]}]}")
    write_all = "sweep: {chain: [{lr.peak: [1]}, {beta: [0.5], rules.g.lr.peak: [1]}]}"
    assert "rules.g.lr.peak: is missing" in errors_of(scheduled + write_all)
    loaded("sweep: {chain: [{lr: [1]}, {lr: [2], beta: [0.5]}]}")


def test_chain_batches_are_checked_in_every_part(errors_of):
    text = HEAD.replace("bowl", "network")
    parts = "sweep: {chain: [{problem.data: [digits], batch_size: [1000]}, {problem.data: [wine], batch_size: [200]}]}"
    assert (
        errors_of(text + parts)
        .splitlines()[0]
        .endswith("sweep.chain[1].batch_size[0]: 200 is larger than the data: network has 142 training examples")
    )


WRONG = [
    ("chain: 3", "6:10: sweep.chain: must be a list of mappings of axes, not 3"),
    ("chain:", "6:9: sweep.chain: must be a list of mappings of axes, not null"),
    ("chain: []", "6:10: sweep.chain: must be a list of mappings of axes, not []"),
    ("chain: [{lr: [1]}, [2]]", "6:22: sweep.chain[1]: must be a mapping of axes, not [2]"),
    ("chain: [{lr: []}]", "6:16: sweep.chain[0].lr: an axis needs at least one value"),
    ("chain: [{lr: [1, x]}]", "6:20: sweep.chain[0].lr[1]: must be a number, not 'x'"),
    ("chain: [{lr: {log: [0, 1, 3]}}]", "6:23: sweep.chain[0].lr.log[0]: must be above 0 on a logarithmic axis, not 0"),
    ("chain: [{seed: 0}]", "6:18: sweep.chain[0].seed: must be a count of seeds from 1 to 10000000, not 0"),
    ("chain: [{lrr: [1]}]", "6:12: sweep.chain[0].lrr: no rule has a hyperparameter lrr"),
    ("chain: [{'lr, beta': [[1, a]]}]", "6:29: sweep.chain[0].lr, beta[0][1]: must be a number, not 'a'"),
    ("chain: [{rules.g.beta: [1]}]", "6:12: sweep.chain[0].rules.g.beta: the rule g has no hyperparameter beta"),
    ("chain: [{chain: [{lr: [1]}]}]", "6:12: sweep.chain[0].chain: a chain can't contain a chain"),
    ("chain: [{lr: [1], 'lr, beta': [[1, 2]]}]", "6:21: sweep.chain[0].lr, beta: lr is an axis already"),
    ("chain: [{beta: [1]}, {lr: [1]}]\n  lr: [2]", "6:25: sweep.chain[1].lr: lr is an axis already"),
    ("chain: [{run: [1]}]", "6:12: sweep.chain[0].run: run is the dim of the chain's points"),
]


@pytest.mark.parametrize(("written", "expected"), WRONG, ids=[written for written, _ in WRONG])
def test_chain_reports_one_error(written, expected, errors_of):
    lines = [line for line in errors_of(f"{HEAD}sweep:\n  {written}").splitlines() if line.startswith("x.yaml")]
    assert lines == [f"x.yaml:{expected}"]


def test_chain_dim_and_coordinates_serve_figures(loaded, errors_of):
    loaded("sweep: {chain: [{lr: [1]}, {beta: [0.5]}]}\nfigures: [sensitivity]")
    text = errors_of(HEAD + "sweep: {chain: [{beta: [1]}, {}]}\nfigures: [sensitivity]")
    assert "it has beta, rule, run, step" in text


def test_chain_part_can_be_overridden(write, errors_of):
    path = write(HEAD + CHAIN)

    def parts(*changes):
        return load(path, changes).config.sweep["chain"]

    assert parts("sweep.chain.1.lr=[7]")[1]["lr"] == [7]
    assert parts("sweep.chain.0.lr.sobol=[1, 2, 3]")[0]["lr"] == {"sobol": [1, 2, 3]}
    assert parts("sweep.chain.0.lr.random=[1, 2, 3]", "sweep.chain.0.lr.seed=4")[0]["lr"]["seed"] == 4
    assert parts("sweep.chain.0.rules.m.beta=[0.5]")[0]["rules.m.beta"] == [0.5]
    assert "rules.m.beta" not in parts("sweep.chain.0.rules.m.beta=")[0]
    assert "rules.m.beta" not in parts("sweep.chain.0.rules.m.beta=null")[0]
    assert parts("sweep.chain.2={beta: [0]}")[2] == {"beta": [0]}
    assert len(parts("sweep.chain.2=")) == 2
    assert len(parts("sweep.chain=[{lr: [1]}]")) == 1
    assert "chain" not in load(path, ["sweep.chain=null"]).config.sweep
    assert "sweep.chain is a list of 3, counted from 0" in errors_of(HEAD + CHAIN, "sweep.chain.3.lr=[1]")
    assert "no rule has a hyperparameter chain.0.lr" in errors_of(HEAD, "sweep.chain.0.lr=[1]")


def test_chain_over_another_replaces_it(write):
    write(HEAD + CHAIN, "base.yaml")
    assert load(write("extends: base.yaml\nsweep: {chain: [{lr: [3]}]}")).config.sweep == {
        "seed": 2,
        "chain": [{"lr": [3]}],
    }
    assert load(write("extends: base.yaml\nsweep: {chain: null, lr: [3]}")).config.sweep == {"seed": 2, "lr": [3]}
