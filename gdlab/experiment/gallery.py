"""The gallery: a page with the figures and the verdicts of the experiments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from gdlab.analysis.claims import Status
from gdlab.experiment import results

# The greatest width of a picture in pixels, and its number of colours.
WIDEST, PALETTE = 1000, 256
PAGE = "README.md"


def add(gallery: Path, slug: str, folder: Path, info: Mapping[str, Any]) -> None:
    """Copy the figures of a results folder and its claims into the gallery, and write the gallery's page.

    `info` has the other fields shown: `words` (what the experiment shows), `command`, `seconds`, `size`, `machine`.
    """
    from PIL import Image

    gallery.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    drawn = sorted((folder / results.FIGURES).glob("*.png"))
    for path in sorted(
        drawn, key=lambda path: path.stem != slug.replace("_", "-")
    ):  # the figure with the verdicts is first
        name = f"{slug}.png" if not pictures else f"{slug}-{path.stem}.png"
        with Image.open(path) as picture:
            flat = picture.convert("RGB")
            if flat.width > WIDEST:
                flat = flat.resize((WIDEST, round(flat.height * WIDEST / flat.width)), Image.Resampling.LANCZOS)
            flat.quantize(PALETTE, dither=Image.Dither.NONE).save(gallery / name, optimize=True)
        pictures.append(name)
    provenance = results.provenance_of(folder)
    versions = {name: provenance["versions"].get(name) for name in ("gdlab", "jax")}
    record = {"slug": slug, **info, "date": provenance["started"][:10], "versions": versions}
    record |= {"figures": pictures, "claims": results.all_claims(folder)}
    results.write_json(gallery / f"{slug}.json", record)
    (gallery / PAGE).write_text(page([json.loads(path.read_text()) for path in sorted(gallery.glob("*.json"))]))


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """The gallery's page in Markdown: a table of verdicts, then each experiment with its figures and claims."""
    lines = [
        "# Gallery",
        "",
        "Written by `gdlab reproduce all --gallery results/gallery`: each figure with its claims and their verdicts.",
        "",
    ]
    lines += ["| experiment | what it shows | claims | seconds | size |", "|---|---|---|---:|---|"]
    for one in records:
        lines.append(
            f"| [{one['slug']}](#{one['slug']}) | {_cell(one['words'])} | {tally(one['claims'])} "
            f"| {one['seconds']:.0f} | {one['size']} |"
        )
    for one in records:
        versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        lines += ["", f"## {one['slug']}", "", one["words"], ""]
        lines += [f"`{one['command']}`: {one['seconds']:.0f} s, {one['date']}, {one['machine']}, {versions}.", ""]
        lines += [f"![{one['slug']}]({name})" for name in one["figures"]]
        lines += ["", "| claim | verdict | measured | expected | source |", "|---|---|---|---|---|"]
        for claim in one["claims"]:
            cells = (claim["statement"], claim["status"], _measured(claim), claim["expected_words"], claim["source"])
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join([*lines, ""])


def tally(claims: Sequence[Mapping[str, Any]]) -> str:
    """The number of claims with each verdict: "3 held, 1 failed"."""
    counts = {status: sum(claim["status"] == status for claim in claims) for status in get_args(Status)}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def _measured(claim: Mapping[str, Any]) -> str:
    if claim["value"] is None:
        return claim["reason"]
    low, high = claim["interval"]
    spread = f" ({low:.4g} to {high:.4g})" if None not in (low, high) and low != high else ""
    runs = len(claim["measured"])
    return f"{claim['name']}: {claim['value']:.4g}{spread}{f', {runs} runs' if runs > 1 else ''}"


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|")
