"""AMSGrad's counterexamples: runs against loops in NumPy; claims with a wrong slope, a wrong end and a larger b2."""

import jax
import numpy as np
import pytest

import gdlab
from gdlab import register

SETTLED = {"periodic": (3, 3.0, -1.0), "online": (101, 1010.0, -10.0)}


@pytest.fixture(scope="module")
def fast(ran):
    """Results at size=fast, and the claims."""
    return ran("amsgrad", "size=fast")


def loop(setting, x, steps, *, lr, b1, b2, greatest):
    """x after `steps` steps, and the average regret, of Adam or (with `greatest`) AMSGrad as in the paper."""
    period, great, small = SETTLED[setting]
    m = v = s = regret = 0.0
    for t in range(1, steps + 1):
        slope = great if t % period == 1 else small
        regret += slope * (x + 1)
        m, v = b1 * m + (1 - b1) * slope, b2 * v + (1 - b2) * slope**2
        s = max(s, v) if greatest else v
        x = min(1.0, max(-1.0, x - lr / np.sqrt(t) * m / np.sqrt(s)))
    return x, regret / steps


def test_amsgrad_claims_hold_except_the_unchecked_stochastic_ones(fast):
    statuses = {name: claim["status"] for name, claim in fast[1].items()}
    unchecked = {name for name, status in statuses.items() if status == "unchecked"}
    assert unchecked == {"stochastic, Adam: x", "stochastic, AMSGrad: x"}
    assert {status for name, status in statuses.items() if name not in unchecked} == {"held"}


@pytest.mark.parametrize("rule", ["adam", "amsgrad"])
@pytest.mark.parametrize("setting", ["periodic", "online"])
def test_amsgrad_runs_equal_a_numpy_loop(fast, setting, rule):
    data = fast[0]
    place = list(data["problem.setting"].values).index(setting)
    one = data.isel({data["problem.setting"].dims[0]: place, "seed": 0}).sel(rule=rule)
    numbers = {"lr": one["lr.peak"].item(), "b1": one["b1"].item(), "b2": one["b2"].item()}
    start, at = one["x"].values[0], 10
    before, _ = loop(setting, start, at * 1515, **numbers, greatest=rule == "amsgrad")
    _, regret = loop(setting, start, at * 1515 + 1, **numbers, greatest=rule == "amsgrad")
    assert one["x"].values[at] == pytest.approx(before, rel=1e-9)
    assert one["average_regret"].values[at] == pytest.approx(regret, rel=1e-9)


def test_amsgrad_claims_fail_for_another_slope_or_the_other_end(fast):
    from gdlab.analysis.claims import judge

    def failed(**options):
        return {
            claim.name for claim in register.checks["amsgrad"].make(fast[0], **options) if judge(claim)[0] == "failed"
        }

    assert failed(rare=4.0) == {"periodic, Adam: regret a step"}
    assert {"periodic, AMSGrad: x", "online, AMSGrad: x", "online, Adam: x"} < failed(best=1.0)


def test_paper_adam_with_large_b2_reaches_the_best_point(fast):
    """The theorem has b2 = 1 / (1 + C^2) = 0.1; with b2 = 0.99 Adam converges to the best point."""
    problem = register.problems["rare-slope"].make("periodic")
    for b2, end in ((0.1, 1.0), (0.99, -1.0)):
        rate = register.schedules["inverse_square_root"].make(peak=0.1)
        rule = register.rules["in-interval"].make(of="paper-adam", lr=rate, b1=0.0, b2=b2)
        trace = gdlab.descend(problem, rule, jax.random.key(0), steps=3000, batch_size=1, every=None)
        assert float(trace.params) == pytest.approx(end, abs=0.02)


@pytest.mark.slow
def test_amsgrad_claims_hold_at_full_length(reproduced):
    assert {claim["status"] for claim in reproduced("amsgrad").values()} == {"held"}
