"""Claims: a statement of a paper as a number with a tolerance, and a verdict on it from measured values.

A claim is written before it is checked. It contains the statement and its source, the expected value, the method of
measurement, and the reason for the tolerance. There are four verdicts: held; failed; uncertain, if the seeds do not
determine on which side of a bound the value lies; and unchecked, if the experiment as it was run can't decide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

Status = Literal["held", "failed", "uncertain", "unchecked"]
COVERAGE = 0.95


class Expected(NamedTuple):
    """The range [low, high] in which a measured value supports a claim, and the range in words."""

    low: float
    high: float
    words: str


def near(value: float, *, rel: float = 0.0, abs: float = 0.0, name: str = "") -> Expected:
    """The range value ± max(rel |value|, abs); `name` is the name of the value, such as "2/lr"."""
    width = max(rel * math.fabs(value), abs)
    about = f"{100 * rel:g}%" if rel * math.fabs(value) >= abs else f"{abs:g}"
    return Expected(value - width, value + width, f"{f'{name} = ' if name else ''}{value:.5g} ± {about}")


def between(low: float, high: float) -> Expected:
    """The range [low, high]."""
    return Expected(low, high, f"{low:.4g} to {high:.4g}")


def at_least(bound: float) -> Expected:
    """The range [bound, inf]."""
    return Expected(bound, math.inf, f"at least {bound:.4g}")


def at_most(bound: float) -> Expected:
    """The range [-inf, bound]."""
    return Expected(-math.inf, bound, f"at most {bound:.4g}")


@dataclass(frozen=True)
class Claim:
    """A statement that a measured number supports or contradicts.

    Attributes:
        name: a short name, for tables.
        statement: the statement, as a sentence.
        source: paper and section or figure.
        expected: the range in which the measured value must lie.
        measured: one value for each seed or run; a single value for a deterministic experiment.
        how: how the value is measured.
        tolerance: the reason for the width of the tolerance.
        over_seeds: "mean": the claim is about the mean over seeds, with its 95% t-interval; "each": about every seed.
        unchecked: why the experiment can't decide the claim, or "". If it is not empty, `measured` is not judged.
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
            raise ValueError(
                f"the claim {self.name!r} has no measured value: give one, or set `unchecked` to the reason"
            )


class Verdict(NamedTuple):
    """The verdict on a claim.

    Attributes:
        status: held, failed, uncertain or unchecked.
        value: the mean over seeds; for claims about every seed, the value furthest outside the range; NaN if there is
            no value.
        low, high: the 95% t-interval of the mean, or the range of the seeds; both equal `value` for one seed.
        reason: an explanation in addition to the numbers, or "".
    """

    status: Status
    value: float
    low: float
    high: float
    reason: str = ""


def judge(claim: Claim) -> Verdict:
    """The verdict on a claim.

    A claim about the mean is held if the interval of the mean lies in the expected range, failed if the interval lies
    outside, else uncertain. A claim about each seed is held if all seeds lie in the range, failed if none does, else
    uncertain. If the value of a seed is NaN (for example because its run diverged), the claim is failed.
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
        reason = "" if inside.all() else f"{int(inside.sum())} of {values.size} runs lie in the expected range"
        return Verdict(status, float(values[np.argmax(outward)]), float(values.min()), float(values.max()), reason)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite values give an uncertain verdict
        mean, half = float(values.mean()), _half_interval(values)
    if mean - half >= low and mean + half <= high:
        return Verdict("held", mean, mean - half, mean + half)
    if mean + half < low or mean - half > high:
        return Verdict("failed", mean, mean - half, mean + half)
    return Verdict("uncertain", mean, mean - half, mean + half, "the interval lies on both sides of a bound")


def record(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    """A claim and its verdict for a JSON file; values that are not finite are null."""
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
