"""One error in one section: its message, position and hint, and no other error."""

import pytest

from gdlab.config import ConfigError, load

HEAD = ("name: trial", "problem: {kind: bowl}", "rules: {gd: {kind: gd}}", "train: {steps: 10}")

CASES = [
    ("name: a/b", "1:7: name: must be letters, digits and ._-, beginning with a letter or a digit, not 'a/b'"),
    ("name: 3", "1:7: name: must be text, not 3"),
    ("nmae: x", "5:1: nmae: unknown key (did you mean name?)"),
    ("problem: bowl", "2:10: problem: must be a mapping, not 'bowl'"),
    ("problem: {}", "2:1: problem.kind: is missing"),
    ("problem: {kind: bowel}", "2:17: problem.kind: there is no problem 'bowel' (did you mean bowl?)"),
    ("problem: {kind: 7}", "2:17: problem.kind: must be text, not 7"),
    (
        "problem: {kind: bowl, conditon: 3}",
        "2:23: problem.conditon: the problem bowl has no hyperparameter conditon (did you mean condition?)",
    ),
    ('problem: {kind: bowl, condition: "32"}', "2:34: problem.condition: must be a number, not '32'"),
    ("problem: {kind: bowl, condition: true}", "2:34: problem.condition: must be a number, not true"),
    ("problem: {kind: bowl, condition: .nan}", "2:34: problem.condition: must be a number, not nan"),
    ("problem: {kind: bowl, spread: [1]}", "2:31: problem.spread: must be a number or null, not [1]"),
    ("problem: {kind: bowl, start: [1, 2, 3]}", "2:30: problem.start: must be a list of 2 numbers, not [1, 2, 3]"),
    ("problem: {kind: bowl, start: [1, x]}", "2:34: problem.start[1]: must be a number, not 'x'"),
    ("problem: {kind: network}", "2:1: problem.data: is missing (network has no default for it)"),
    (
        "problem: {kind: network, data: wne}",
        "2:32: problem.data: must be digits or wine, not 'wne' (did you mean wine?)",
    ),
    (
        "problem: {kind: network, data: wine, widths: 32}",
        "2:46: problem.widths: must be a list of whole numbers, not 32",
    ),
    (
        "problem: {kind: network, data: wine, widths: [8, 2.5]}",
        "2:50: problem.widths[1]: must be a whole number, not 2.5",
    ),
    ("rules: {}", "3:8: rules: must have at least 1"),
    ("rules: {gd: gd}", "3:13: rules.gd: must be a mapping, not 'gd'"),
    ("rules: {gd: {kind: momentun}}", "3:20: rules.gd.kind: there is no rule 'momentun' (did you mean momentum?)"),
    ("rules: {gd: {kind: zzz}}", "3:20: rules.gd.kind: there is no rule 'zzz' (there are gd, momentum)"),
    ("rules: {gd: {kind: gd, beta: .9}}", "3:24: rules.gd.beta: the rule gd has no hyperparameter beta (it has lr)"),
    (
        "rules: {m: {kind: momentum, form: men}}",
        "3:35: rules.m.form: must be sum or mean, not 'men' (did you mean mean?)",
    ),
    ("rules: {m: {kind: momentum, ema: 1}}", "3:34: rules.m.ema: must be true or false, not 1"),
    ("rules: {m: {kind: gd, lr: {peak: 1}}}", "3:23: rules.m.lr: a schedule needs a kind (there are cosine, warmup)"),
    (
        "rules: {m: {kind: gd, lr: {kind: cosin}}}",
        "3:34: rules.m.lr.kind: there is no schedule 'cosin' (did you mean cosine?)",
    ),
    ("rules: {m: {kind: gd, lr: {kind: 1}}}", "3:34: rules.m.lr.kind: must be the name of a schedule, not 1"),
    (
        "rules: {m: {kind: gd, lr: {kind: cosine, peak: 1}}}",
        "3:23: rules.m.lr.steps: is missing (cosine has no default for it)",
    ),
    (
        "rules: {m: {kind: gd, lr: {kind: cosine, peek: 1, steps: 2}}}",
        "3:42: rules.m.lr.peek: the schedule cosine has no hyperparameter peek (did you mean peak?)",
    ),
    (
        "rules: {m: {kind: gd, lr: {kind: warmup, steps: 2, then: {kind: cosine, peak: x, steps: 3}}}}",
        "3:79: rules.m.lr.then.peak: must be a number, not 'x'",
    ),
    (
        "rules: {m: {kind: gd, lr: {kind: cosine, peak: {kind: cosine}, steps: 2}}}",
        "3:48: rules.m.lr.peak: must be a number, not a mapping",
    ),
    ("rules: {m: {kind: momentum, ema: {kind: cosine}}}", "3:34: rules.m.ema: must be true or false, not a mapping"),
    ("train: {steps: -5}", "4:16: train.steps: must be greater than 0, not -5"),
    ("train: {steps: 1e3}", "4:16: train.steps: must be a whole number, not 1000.0 (write 1000)"),
    ('train: {steps: "32"}', "4:16: train.steps: must be a whole number, not '32'"),
    ("train: {steps: true}", "4:16: train.steps: must be a whole number, not true"),
    ("train: {steps: null}", "4:16: train.steps: must be a whole number, not null"),
    ("train: {}", "4:1: train.steps: is missing"),
    ("train: {step: 5}", "4:9: train.step: unknown key (did you mean steps?)"),
    ("train: {steps: 5, xyz: 1}", "4:19: train.xyz: unknown key (train has steps, batch_size, sampling, stop)"),
    (
        "train: {steps: 5, sampling: shufle}",
        "4:29: train.sampling: must be shuffle or replacement, not 'shufle' (did you mean shuffle?)",
    ),
    ("train: {steps: 5, batch_size: 0}", "4:31: train.batch_size: must be greater than 0, not 0"),
    ("train: {steps: 5, batch_size: [1, 2]}", "4:31: train.batch_size: must be a whole number, not [1, 2]"),
    ("train: {steps: 5, stop: {loss: low}}", "4:32: train.stop.loss: must be a number, not 'low'"),
    ("train: {steps: 5, stop: {bound: .inf}}", "4:33: train.stop.bound: must be a finite number, not inf"),
    ("train: {steps: 5, stop: {grad_norm: -1}}", "4:37: train.stop.grad_norm: must be at least 0, not -1"),
    ("train: {steps: 99999999999}", "4:16: train.steps: must be less than 2147483648, not 99999999999"),
    ("record: {every: 0}", "5:17: record.every: must be greater than 0, not 0"),
    ("record: {probes: grad_norm}", "5:18: record.probes: must be a list, not 'grad_norm'"),
    (
        "record: {probes: [3]}",
        "5:19: record.probes[0]: must be a probe's name, or a mapping with its kind and its options, not 3",
    ),
    ("record: {probes: [gradnorm]}", "5:19: record.probes[0]: there is no probe 'gradnorm' (did you mean grad_norm?)"),
    (
        "record: {probes: [{kind: nope, every: x}]}",
        "5:26: record.probes[0].kind: there is no probe 'nope' (there are curvature, grad_norm)",
    ),
    (
        "record: {probes: [{kind: curvature, every: x}]}",
        "5:44: record.probes[0].every: must be a whole number, not 'x'",
    ),
    ("rules: {g: {kind: gd, lr: .inf}}", "3:27: rules.g.lr: a learning rate must be finite"),
    ("rules: {g: {kind: gd, lr: -0.5}}", "3:27: rules.g.lr: a learning rate must be at least 0, not -0.5"),
    (
        "rules: {g: {kind: gd, lr: {kind: cosine, peak: -1, steps: 3}}}",
        "3:48: rules.g.lr.peak: a learning rate must be at least 0, not -1",
    ),
    ("figures: [{kind: curves, notes: 1}]", "5:33: figures[0].notes: must be true or false, not 1"),
    ("record: {probes: [grad_norm, grad_norm]}", "5:30: record.probes[1]: grad_norm is listed twice"),
    (
        "record: {probes: [{kind: curvatur}]}",
        "5:26: record.probes[0].kind: there is no probe 'curvatur' (did you mean curvature?)",
    ),
    (
        "record: {probes: [{kind: curvature, iteration: 3}]}",
        "5:37: record.probes[0].iteration: the probe curvature has no option iteration (did you mean iterations?)",
    ),
    (
        "record: {probes: [{kind: grad_norm, iterations: 3}]}",
        "5:37: record.probes[0].iterations: the probe grad_norm has no option iterations (it has every)",
    ),
    (
        "record: {every: 4, probes: [{kind: curvature, every: 6}]}",
        "5:54: record.probes[0].every: must be a multiple of record.every, which is 4, not 6",
    ),
    (
        "record: {probes: [{kind: curvature, every: 0}]}",
        "5:44: record.probes[0].every: must be a multiple of record.every, which is 1, not 0",
    ),
    (
        "record: {probes: [grad_norm, {kind: grad_norm, every: 2}]}",
        "5:30: record.probes[1]: grad_norm is listed twice",
    ),
    ("record: {probes: [loss]}", "5:19: record.probes[0]: the loss is always recorded (drop it)"),
    (
        "record: {every: null, probes: [grad_norm]}",
        "5:23: record.probes: nothing is recorded where record.every is null",
    ),
    (
        "landscape: {plane: flat}",
        "5:20: landscape.plane: must be auto, exact, pca, random, hessian or gradient, not 'flat'",
    ),
    ("landscape: {points: 1}", "5:21: landscape.points: must be at least 2, not 1"),
    ("landscape: {points: [9, 1]}", "5:25: landscape.points[1]: must be at least 2, not 1"),
    ("landscape: {points: 9.5}", "5:21: landscape.points: must be a number or a pair of numbers, not 9.5"),
    ("landscape: {points: [9, a]}", "5:25: landscape.points[1]: must be a whole number, not 'a'"),
    ("landscape: {points: [9]}", "5:21: landscape.points: must be a number or a pair of numbers, not [9]"),
    ("landscape: {margin: -1}", "5:21: landscape.margin: must be at least 0, not -1"),
    ("figures: curves", "5:10: figures: must be a list, not 'curves'"),
    ("figures: [curve]", "5:11: figures[0].kind: there is no figure 'curve' (did you mean curves?)"),
    ("figures: [4]", "5:11: figures[0]: must be a figure's name, or a mapping with its kind and its options, not 4"),
    (
        "figures: [{kind: curves, serie: 1}]",
        "5:26: figures[0].serie: the figure curves has no option serie (did you mean series?)",
    ),
    (
        "figures: [{kind: curves, data: 1}]",
        "5:26: figures[0].data: the figure curves has no option data (it has levels, notes, series)",
    ),
    ("figures: [{kind: curves, levels: a}]", "5:34: figures[0].levels: must be a whole number, not 'a'"),
    ("precision: float16", "5:12: precision: must be float32 or float64, not 'float16' (did you mean float64?)"),
    ("compute: {chunk: 0}", "5:18: compute.chunk: must be greater than 0, not 0"),
    ("code: [nowhere.py]", "5:8: code[0]: no such file: nowhere.py"),
    ("code: [3]", "5:8: code[0]: must be text, not 3"),
]


@pytest.mark.parametrize(("line", "expected"), CASES, ids=[line for line, _ in CASES])
def test_load_reports_one_error_in_a_section(line, expected, write):
    key = line.partition(":")[0]
    lines = [line if given.startswith(key + ":") else given for given in HEAD]
    text = "\n".join([*lines, line] if line not in lines else lines)
    with pytest.raises(ConfigError) as caught:
        load(write(text))
    found = [
        f"{m.line}:{m.column}: {m.path}: {m.message}" + (f" ({m.hint})" if m.hint else "")
        for m in caught.value.mistakes
    ]
    assert found == [expected]
