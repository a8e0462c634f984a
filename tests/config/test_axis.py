"""Errors in the axes of a sweep, alone and against the other sections."""

import pytest

from gdlab.config import ConfigError, load

HEAD = ("name: trial", "problem: {kind: bowl}", "rules: {m: {kind: momentum}}", "train: {steps: 10}")
SPACED = "(or {log: [lo, hi, n]}; linear, random or sobol may be used instead of log)"

AXES = [
    ("lr: []", "6:7: sweep.lr: an axis needs at least one value"),
    ("lr: 0.1", f"6:7: sweep.lr: must be a list of values, not 0.1 {SPACED}"),
    ("lr:", f"6:6: sweep.lr: must be a list of values, not null {SPACED}"),
    ("lr: [0.1, x]", "6:13: sweep.lr[1]: must be a number, not 'x'"),
    ("lr: [0.1, [1]]", "6:13: sweep.lr[1]: must be a number, not [1]"),
    ("lr: {}", "6:7: sweep.lr: an axis needs one of log, linear, random and sobol"),
    ("lr: {logg: [1, 2, 3]}", "6:8: sweep.lr.logg: an axis has no option logg here (did you mean log?)"),
    ("lr: {log: [1, 2]}", "6:13: sweep.lr.log: must be [lo, hi, n], not [1, 2]"),
    ("lr: {log: [0, 1, 3]}", "6:14: sweep.lr.log[0]: must be above 0 on a logarithmic axis, not 0"),
    ("lr: {log: [1, -1, 3]}", "6:17: sweep.lr.log[1]: must be above 0 on a logarithmic axis, not -1"),
    ("lr: {log: [a, 1, 3]}", "6:14: sweep.lr.log[0]: must be a number, not 'a'"),
    ("lr: {linear: [0, .inf, 3]}", "6:20: sweep.lr.linear[1]: must be a number, not inf"),
    ("lr: {linear: [2, 2, 3]}", "6:20: sweep.lr.linear[1]: must differ from the other end"),
    (
        "lr: {linear: [0, 1, 0]}",
        "6:23: sweep.lr.linear[2]: must be a count of values from 1 to 10000000, not 0",
    ),
    (
        "lr: {linear: [0, 1, 2.5]}",
        "6:23: sweep.lr.linear[2]: must be a count of values from 1 to 10000000, not 2.5",
    ),
    (
        "lr: {log: [1, 2, 3], linear: [1, 2, 3]}",
        "6:24: sweep.lr.linear: the axis already has the spacing log (drop one)",
    ),
    ("lr: {log: [1, 2, 3], seed: 0}", "6:24: sweep.lr.seed: an axis has no option seed here"),
    ("lr: {random: [1, 2, 3], scale: lin}", "6:34: sweep.lr.scale: must be log or linear, not 'lin'"),
    ("lr: {random: [1, 2, 3], seed: -1}", "6:33: sweep.lr.seed: must be a whole number from 0, not -1"),
    ("lr: {random: [0, 2, 3]}", "6:17: sweep.lr.random[0]: must be above 0 on a logarithmic axis, not 0"),
    ("lr: {sobol: [1, 2]}", "6:15: sweep.lr.sobol: must be [lo, hi, n], not [1, 2]"),
    ("lr: {sobol: [1, 2, 3], sede: 1}", "6:26: sweep.lr.sede: an axis has no option sede here (did you mean seed?)"),
    (
        "lr: {sobol: [1, 2, 3], random: [1, 2, 3]}",
        "6:26: sweep.lr.random: the axis already has the spacing sobol (drop one)",
    ),
    ("lr: {sobol: [1, 2, 3], n: 3}", "6:26: sweep.lr.n: an axis has no option n here"),
    ("seed: 0", "6:9: sweep.seed: must be a count of seeds from 1 to 10000000, not 0"),
    ("seed: 2.5", "6:9: sweep.seed: must be a count of seeds or a list of them, not 2.5"),
    ("seed: [1, -2]", "6:13: sweep.seed[1]: must be at least 0, not -2"),
    ("seed: [1, 4294967296]", "6:13: sweep.seed[1]: must be a number of 32 bits, not 4294967296"),
    ("batch_size: [8, 0]", "6:19: sweep.batch_size[1]: must be at least 1, not 0"),
    ("form: [sum, men]", "6:15: sweep.form[1]: must be sum or mean, not 'men' (did you mean mean?)"),
    ("form: {log: [1, 2, 3]}", "6:9: sweep.form: each value must be sum or mean, so this axis is a list"),
    ("batch_size: {linear: [1, 2, 3]}", "6:15: sweep.batch_size: each value must be a whole number (one is 1.5)"),
    ("lrr: [0.1]", "6:3: sweep.lrr: no rule has a hyperparameter lrr (did you mean lr?)"),
    (
        "condition: [1]",
        "6:3: sweep.condition: no rule has a hyperparameter condition (did you mean problem.condition?)",
    ),
    (
        "problem.cond: [1]",
        "6:3: sweep.problem.cond: the problem bowl has no hyperparameter cond (did you mean problem.condition?)",
    ),
    (
        "problem.zz: [1]",
        "6:3: sweep.problem.zz: the problem bowl has no hyperparameter zz (it has condition, start, spread)",
    ),
    ("problem.condition: [a]", "6:23: sweep.problem.condition[0]: must be a number, not 'a'"),
    ("lr.a.b: [1]", "6:3: sweep.lr.a.b: no rule has a hyperparameter lr.a.b (lr is a schedule in no rule)"),
    ("lr.peak: [1]", "6:3: sweep.lr.peak: no rule has a hyperparameter lr.peak (lr is a schedule in no rule)"),
    ("lr, lr: [[1, 2]]", "6:3: sweep.lr, lr: zipped axes must be different names separated by commas"),
    ("lr, beta: []", "6:13: sweep.lr, beta: zipped axes need a list of rows, each [lr, beta]"),
    ("lr, beta: [[1, .9], [1]]", "6:23: sweep.lr, beta[1]: must be [lr, beta], 2 values, not [1]"),
    ("lr, beta: [[1, .9], [1, x]]", "6:27: sweep.lr, beta[1][1]: must be a number, not 'x'"),
    (
        "rules.mm.lr: [1]",
        "6:3: sweep.rules.mm.lr: there is no rule mm (did you mean rules.m.lr?)",
    ),
    ("rules.zzz.lr: [1]", "6:3: sweep.rules.zzz.lr: there is no rule zzz (there are m)"),
    (
        "rules.m.betta: [1]",
        "6:3: sweep.rules.m.betta: the rule m has no hyperparameter betta (did you mean rules.m.beta?)",
    ),
    (
        "rules.m.zzz: [1]",
        "6:3: sweep.rules.m.zzz: the rule m has no hyperparameter zzz (it has beta, ema, form, lr)",
    ),
    (
        "rules.m: [1]",
        "6:3: sweep.rules.m: the rule m has no hyperparameter without a name (it has beta, ema, form, lr)",
    ),
    (
        "rules.m.lr.peak: [1]",
        "6:3: sweep.rules.m.lr.peak: the rule m has no hyperparameter lr.peak (its lr is not a schedule)",
    ),
    ("lr: [0.1, 0.2, 0.1]", "6:18: sweep.lr[2]: 0.1 is given twice, first at sweep.lr[0] (drop one)"),
    ("lr: [1, 1.0]", "6:11: sweep.lr[1]: 1.0 is given twice, first at sweep.lr[0] (drop one)"),
    ("seed: [4, 0, 4]", "6:16: sweep.seed[2]: 4 is given twice, first at sweep.seed[0] (drop one)"),
    ("batch_size: [8, 8]", "6:19: sweep.batch_size[1]: 8 is given twice, first at sweep.batch_size[0] (drop one)"),
    ("lr: {linear: [1, 1.0000000000000002, 5]}", "6:7: sweep.lr: 1.0 is given twice (drop one)"),
    (
        '"lr, seed": [[1, 2], [1, 3], [1.0, 2]]',
        "6:32: sweep.lr, seed[2]: [1.0, 2] is given twice, first at sweep.lr, seed[0] (drop one)",
    ),
    ("lr: [0.1, -0.1]", "6:13: sweep.lr[1]: a learning rate must be at least 0, not -0.1"),
    ("lr: {linear: [-1, 1, 3]}", "6:7: sweep.lr: a learning rate must be at least 0, not -1.0"),
    ('"beta, lr": [[0.5, -1]]', "6:22: sweep.beta, lr[0][1]: a learning rate must be at least 0, not -1"),
    ("rules.m.lr: [-1]", "6:16: sweep.rules.m.lr[0]: a learning rate must be at least 0, not -1"),
    ("rules.m.lr: [x]", "6:16: sweep.rules.m.lr[0]: must be a number, not 'x'"),
    ("rules.m.form: [sum, men]", "6:23: sweep.rules.m.form[1]: must be sum or mean, not 'men' (did you mean mean?)"),
]


def found(error: ConfigError) -> list[str]:
    return [f"{m.line}:{m.column}: {m.path}: {m.message}" + (f" ({m.hint})" if m.hint else "") for m in error.mistakes]


@pytest.mark.parametrize(("axis", "expected"), AXES, ids=[axis for axis, _ in AXES])
def test_load_reports_one_error_in_an_axis(axis, expected, write):
    with pytest.raises(ConfigError) as caught:
        load(write("\n".join([*HEAD, "sweep:", f"  {axis}"])))
    assert found(caught.value) == [expected]


TOGETHER = [
    (
        "rules: {m: {kind: momentum, lr: 1}}\nsweep: {lr: [1]}",
        "sweep.lr: rules.m.lr is set, and lr is also a sweep axis (drop one)",
    ),
    (
        "rules: {m: {kind: momentum, lr: 1}, g: {kind: gd, lr: {kind: cosine, peak: 1, steps: 2}}}\nsweep: {lr: [1]}",
        "sweep.lr: rules.m.lr is set, and lr is also a sweep axis (drop one)",
    ),
    (
        "rules: {g: {kind: gd, lr: {kind: cosine, peak: 1, steps: 2}}}\nsweep: {lr.peak: [1]}",
        "sweep.lr.peak: rules.g.lr.peak is set, and lr.peak is also a sweep axis (drop one)",
    ),
    (
        "problem: {kind: bowl, condition: 2}\nrules: {g: {kind: gd}}\nsweep: {problem.condition: [1]}",
        "sweep.problem.condition: problem.condition is set, and problem.condition is also a sweep axis (drop one)",
    ),
    (
        "train: {steps: 9, batch_size: 2}\nrules: {g: {kind: gd}}\nsweep: {batch_size: [1]}",
        "sweep.batch_size: train.batch_size is set, and batch_size is also a sweep axis (drop one)",
    ),
    ('sweep: {lr: [1], "lr, beta": [[1, 0.9]]}', "sweep.lr, beta: lr is an axis already"),
    (
        "rules: {m: {kind: momentum, beta: 0.5}}\nsweep: {rules.m.beta: [1]}",
        "sweep.rules.m.beta: rules.m.beta is set, and rules.m.beta is also a sweep axis (drop one)",
    ),
    (
        "rules: {g: {kind: gd}, h: {kind: gd, lr: {kind: cosine, steps: 2}}}\nsweep: {rules.g.lr: [1]}",
        "rules.h.lr.peak: is missing (cosine has no default for it)",
    ),
    (
        "problem: {kind: network, data: wine}\ntrain: {steps: 1, batch_size: 143}",
        "train.batch_size: 143 is larger than the data: network has 142 training examples",
    ),
    (
        "problem: {kind: network, data: wine}\nsweep: {batch_size: [142, 143]}",
        "sweep.batch_size[1]: 143 is larger than the data: network has 142 training examples",
    ),
    (
        'problem: {kind: network}\nsweep: {"problem.data, batch_size": [[digits, 1437], [wine, 143]]}',
        "sweep.problem.data, batch_size[1][1]: 143 is larger than the data: network has 142 training examples",
    ),
    (
        "record: {every: null}\nfigures: [curves]",
        "figures[0]: the figure curves needs a series, and record.every is null (set how often to record: every: 1)",
    ),
    (
        "sweep: {beta: [1]}\nfigures: [sensitivity]",
        "figures[0]: the figure sensitivity needs the dim lr, which the sweep lacks (it has beta, rule, step)",
    ),
    (
        "problem: {kind: plain}\ntrain: {steps: 1, batch_size: 4}",
        "train.batch_size: plain has no data to take a batch from (drop batch_size)",
    ),
    (
        "problem: {kind: plain}\nsweep: {batch_size: [null, 4], problem.scale: [1, 2]}",
        "sweep.batch_size[1]: plain has no data to take a batch from (drop batch_size)",
    ),
    ("sweep: {lr: [1], seed: 3}\nfigures: [pair]", "figures[0]: the figure pair draws one axis, not 2"),
    ("figures: [surface]", "figures[0]: the figure surface needs the section landscape (landscape: {})"),
]


def config(text: str) -> str:
    """The head without the sections that the text has, and the text."""
    keys = {line.partition(":")[0] for line in text.splitlines()}
    return "\n".join([*(line for line in HEAD if line.partition(":")[0] not in keys), text])


@pytest.mark.parametrize(("text", "expected"), TOGETHER, ids=[text for text, _ in TOGETHER])
def test_load_reports_sections_that_disagree(text, expected, write):
    with pytest.raises(ConfigError) as caught:
        load(write(config(text)))
    assert [line.partition(": ")[2] for line in found(caught.value)] == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "sweep: {lr, beta: [[1, 0.9]]}\nfigures: [sensitivity]".replace("lr, beta", '"lr, beta"'),
        "rules: {g: {kind: gd, lr: {kind: cosine, steps: 2}}}\nsweep: {lr.peak: [1]}",
        "rules: {g: {kind: gd, lr: {kind: warmup, steps: 2, then: {kind: cosine, steps: 3}}}}\n"
        "sweep: {lr.then.peak: [1]}",
        "problem: {kind: network}\nsweep: {problem.data: [wine], batch_size: [1, null]}",
        "problem: {kind: network}\nsweep: {problem.widths: [[8], [8, 8]], problem.data: [digits]}",
        "landscape: {}\nfigures: [surface]",
        "sweep: {lr: [1]}\nfigures: [pair]",
        "problem: {kind: plain}\nsweep: {batch_size: [null]}",
        # The rate of one rule is swept, and the peak of the other's schedule.
        "rules: {g: {kind: gd}, s: {kind: gd, lr: {kind: cosine, steps: 2}}}\nsweep: {lr: [1, 2], lr.peak: [3]}",
        "rules: {g: {kind: gd}, s: {kind: gd, lr: {kind: cosine, steps: 2}}}\nsweep: {'lr, lr.peak': [[1, 2], [2, 3]]}",
        "rules: {g: {kind: gd, lr: 1}, s: {kind: gd, lr: {kind: cosine, steps: 2}}}\nsweep: {lr.peak: [3]}",
        "rules: {g: {kind: gd, lr: 1}, m: {kind: momentum, lr: 2}}\nsweep: {beta: {linear: [0, 0.9, 3]}}",
        'problem: {kind: network}\nsweep: {"problem.data, batch_size": [[digits, 1437], [wine, 142]]}',
        "rules: {g: {kind: gd}, v1.5: {kind: gd, lr: {kind: cosine, steps: 2}}}\nsweep: {rules.v1.5.lr.peak: [1]}",
        "rules: {g: {kind: gd}, m: {kind: momentum, beta: 0.5}}\nsweep: {lr: [1], rules.g.lr: [2]}",
        "rules: {m: {kind: momentum}}\nsweep: {lr: [0, -0.0], chain: [{beta: [-1, 1, 1]}]}",
        "rules: {m: {kind: momentum}}\nsweep: {'lr, beta': [[1, 2], [1, 3], [2, 2]]}",
        "rules: {'$lr$ $\\frac{$': {kind: gd}}",  # figures draw text that is not valid mathtext as it is
        "sweep: {}",
        "record: {every: null}\nsweep: {lr: {random: [1, 2, 3], scale: linear, seed: 4}}",
    ],
)
def test_load_accepts_sections_that_agree(text, write):
    load(write(config(text)))
