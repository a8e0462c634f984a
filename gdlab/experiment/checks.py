"""What the checks of a config say of its results: claims, judged, and written beside the results."""

from pathlib import Path
from typing import Any

from gdlab import register
from gdlab.analysis.claims import Claim, judge, record
from gdlab.config import Resolved
from gdlab.errors import UserError
from gdlab.experiment import results


def check_all(folder: Path, resolved: Resolved) -> tuple[list[dict[str, Any]], list[str]]:
    """Judge the claims of a config by its results, and write `claims.json`: a `gdlab.analysis.claims.record` of each.

    Without checks nothing is written.

    Returns:
        The records; and the checks that could not be made, each with its cause.
    """
    found: list[dict[str, Any]] = []
    troubles: list[str] = []
    checks = resolved.config.checks
    for number, check in enumerate(checks):
        entry = register.checks[check.kind]
        try:
            data = results.open_named(folder, entry.info.get("of", results.SWEEP))
            claims: list[Claim] = entry.make(data, **check.hyperparameters)
        except UserError as error:
            troubles.append(f"{check.kind} ({resolved.position('checks', number)}): {error}")
            continue
        found += [{"check": check.kind, **record(claim, judge(claim))} for claim in claims]
    if checks:
        results.write_json(folder / results.CLAIMS, {"claims": found})
    return found, troubles
