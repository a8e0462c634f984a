"""Claims: what a paper says, as a number with a tolerance, and whether what was measured bears it out.

A claim is written down before it is checked: what is said and where, what is expected, how it is measured, and why the
tolerance is as wide as it is. Checking gives one of four verdicts: held; failed; uncertain, where seeds don't settle on
which side of a bound the measured value lies; and unchecked, where the experiment as it was run can't tell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

Status = Literal["held", "failed", "uncertain", "unchecked"]
COVERAGE = 0.95


class Expected(NamedTuple):
    """The range [low, high] in which a measured value bears a claim out, and the range in words."""

    low: float
    high: float
    words: str


def near(value: float, *, rel: float = 0.0, abs: float = 0.0, name: str = "") -> Expected:
    """Within max(rel |value|, abs) of a value; `name` says what the value is: "2/lr"."""
    width = max(rel * math.fabs(value), abs)
    about = f"{100 * rel:g}%" if rel * math.fabs(value) >= abs else f"{abs:g}"
    return Expected(value - width, value + width, f"{f'{name} = ' if name else ''}{value:.5g} ± {about}")


def between(low: float, high: float) -> Expected:
    """From `low` to `high`."""
    return Expected(low, high, f"{low:.4g} to {high:.4g}")


def at_least(bound: float) -> Expected:
    """Not below a bound."""
    return Expected(bound, math.inf, f"at least {bound:.4g}")


def at_most(bound: float) -> Expected:
    """Not above a bound."""
    return Expected(-math.inf, bound, f"at most {bound:.4g}")


@dataclass(frozen=True)
class Claim:
    """A statement that a measured number bears out, or does not.

    Attributes:
        name: a word or two, for tables.
        statement: what is said, in a sentence.
        source: who says it, where: paper and section or figure.
        expected: where the measured value must lie.
        measured: a value for each seed, or each run of some; one value where nothing is random.
        how: how the value is measured.
        tolerance: why the tolerance is as wide as it is.
        over_seeds: "mean": the claim is of the mean over seeds, known to its 95% t-interval; "each": of every seed.
        unchecked: why this run can't tell, where it can't: it is too short, too small. Then `measured` is not judged.
    """

    name: str
    statement: str
    source: str
    expected: Expected
    measured: Sequence[float]
    how: str
    tolerance: str
    over_seeds: Literal["mean", "each"] = "mean"
    unchecked: str = ""

    def __post_init__(self) -> None:
        if not self.unchecked and not len(self.measured):
            raise ValueError(f"the claim {self.name!r} has no measured value: give one, or say why it is unchecked")


class Verdict(NamedTuple):
    """What became of a claim.

    Attributes:
        status: whether the claim held.
        value: the mean over seeds; where every seed counts, the value that is furthest out (NaN: there is none).
        low, high: the 95% t-interval of the mean, or the range of the seeds; `value` twice where there is one seed.
        reason: what there is to say beside the numbers.
    """

    status: Status
    value: float
    low: float
    high: float
    reason: str = ""


def judge(claim: Claim) -> Verdict:
    """Whether a claim holds.

    Of the mean: held where its interval lies in the expected range, failed where it lies outside, else uncertain. Of
    each seed: held where all lie in the range, failed where none does, else uncertain. A seed without a number, since
    its run diverged, say, can't bear out anything: the claim failed.
    """
    if claim.unchecked:
        return Verdict("unchecked", math.nan, math.nan, math.nan, claim.unchecked)
    values = np.asarray(claim.measured, float)
    if np.isnan(values).any():
        lost = int(np.isnan(values).sum())
        return Verdict("failed", math.nan, math.nan, math.nan, f"{lost} of {values.size} runs gave no number")
    low, high, _ = claim.expected
    if claim.over_seeds == "each":
        inside = (low <= values) & (values <= high)
        outward = np.maximum(low - values, values - high)
        status: Status = "held" if inside.all() else "uncertain" if inside.any() else "failed"
        reason = "" if inside.all() else f"{int(inside.sum())} of {values.size} runs lie in it"
        return Verdict(status, float(values[np.argmax(outward)]), float(values.min()), float(values.max()), reason)
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond all bounds settles nothing
        mean, half = float(values.mean()), _half_interval(values)
    if mean - half >= low and mean + half <= high:
        return Verdict("held", mean, mean - half, mean + half)
    if mean + half < low or mean - half > high:
        return Verdict("failed", mean, mean - half, mean + half)
    return Verdict("uncertain", mean, mean - half, mean + half, "the interval lies on both sides of a bound")


def record(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    """A claim and its verdict for a JSON file, in which what is not finite is null."""
    return {
        "name": claim.name,
        "status": verdict.status,
        "statement": claim.statement,
        "source": claim.source,
        "expected": {"low": _plain(claim.expected.low), "high": _plain(claim.expected.high)},
        "expected_words": claim.expected.words,
        "value": _plain(verdict.value),
        "interval": [_plain(verdict.low), _plain(verdict.high)],
        "measured": [_plain(float(value)) for value in claim.measured],
        "over_seeds": claim.over_seeds,
        "how": claim.how,
        "tolerance": claim.tolerance,
        "reason": verdict.reason,
    }


def _half_interval(values: np.ndarray) -> float:
    """Half the width of the t-interval of the mean: 0 for one value."""
    if values.size < 2 or np.isinf(values).any():
        return 0.0
    from scipy.stats import t

    spread = values.std(ddof=1) / math.sqrt(values.size)
    return float(t.ppf((1 + COVERAGE) / 2, values.size - 1) * spread)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
