"""Check the claims of a config against its results."""

from pathlib import Path
from typing import Any

from gdlab import register
from gdlab.analysis.claims import Claim, judge, record
from gdlab.config import Resolved
from gdlab.experiment import results
from gdlab.experiment.failures import Failure, recorded


def check_all(folder: Path, resolved: Resolved, failures: list[Failure]) -> list[dict[str, Any]]:
    """Judge the claims of a config against its results, and write the verdicts to `claims.json`.

    A check that raises an exception is appended to `failures`. Without checks, no file is written.

    Returns:
        A record for each claim (`gdlab.analysis.claims.record`).
    """
    found: list[dict[str, Any]] = []
    checks = resolved.config.checks
    for number, check in enumerate(checks):
        entry = register.checks[check.kind]
        with recorded(f"could not check {check.kind} ({resolved.position('checks', number)})", failures):
            data = results.open_named(folder, entry.info.get("of", results.SWEEP))
            claims: list[Claim] = entry.make(data, **check.hyperparameters)
            found += [{"check": check.kind, **record(claim, judge(claim))} for claim in claims]
    if checks:
        results.write_json(folder / results.CLAIMS, {"claims": found})
    return found
