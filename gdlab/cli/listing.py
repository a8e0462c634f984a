"""Lists and descriptions of everything that a config can name."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from gdlab.cli.printing import console, shown_number
from gdlab.errors import UserError, did_you_mean
from gdlab.experiment.catalogue import known_experiments, leading_comment
from gdlab.experiment.reproduce import chosen
from gdlab.register import Entry


def list_shelf(what: str, shelf: Mapping[str, Entry]) -> None:
    """Print a line for each registered kind."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (what[:-1], "what it is", _title(what), "source"):
        table.add_column(column, overflow="fold")
    for kind, entry in sorted(shelf.items()):
        cells = (kind, entry.summary, ", ".join(_parameters(what, entry)), entry.source)
        table.add_row(*(Text(cell) for cell in cells))  # Text, so that rich does not read brackets as markup
    if what == "rules":
        for name, entry in _of_optax().items():
            table.add_row(Text(name), Text(entry.summary), Text(", ".join(_parameters(what, entry))), entry.source)
    console().print(table)
    click.echo(f"\n{len(shelf)} {what}" + (f", and {len(_of_optax())} of optax" if what == "rules" else ""))


def markdown_of_rules(shelf: Mapping[str, Entry]) -> str:
    """A Markdown page of the rules: equation, source, extra inputs, state, name in optax, and differences."""
    from gdlab.rules.from_optax import names

    lines = [
        "# Update rules",
        "",
        "Written by `gdlab list rules --markdown`. *Reads*: further inputs. *Keeps*: numbers for each parameter.",
        "",
        "| rule | what it is | source | reads | keeps | in optax | what differs there or elsewhere |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, entry in sorted(shelf.items()):
        info = entry.info
        theirs = info.get("optax", kind if kind in names() else None)
        source = f"[{entry.source}]({info['url']})" if "url" in info else entry.source
        reads, keeps = ", ".join(info.get("needs", ())), info.get("memory", "")
        cells = (
            f"`{kind}`",
            entry.summary,
            source,
            reads,
            keeps,
            f"`{theirs}`" if theirs else "",
            info.get("differs", ""),
        )
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    lines += [
        "",
        f"{len(shelf)} rules of gdlab, and by name (`optax:NAME`) the {len(names())} of optax:",
        "",
    ]
    return "\n".join([*lines, ", ".join(f"`{name}`" for name in names()) + ".", ""])


def print_entry(what: str, shelf: Mapping[str, Entry], name: str) -> None:
    """Print the documentation of a registered kind.

    Raises:
        UserError: there is no such kind.
    """
    known = {**shelf, **_of_optax()} if what == "rules" else shelf
    if name not in known:
        hint = did_you_mean(name, known)
        raise UserError(f"there is no {what[:-1]} {name!r}" + (f": {hint}" if hint else ""))
    entry = known[name]
    click.echo(f"{name}" + (f"  ({entry.source})" if entry.source else "") + "\n")
    click.echo(inspect.getdoc(entry.make) or "")
    click.echo(f"\n{_title(what)}: {', '.join(_parameters(what, entry)) or 'none'}")
    for title, text in _further(entry).items():
        click.echo(f"{title}: {text}")


def _further(entry: Entry) -> dict[str, str]:
    """The registered facts of a kind except its source, by title."""
    info = entry.info
    facts = {
        "worth sweeping": ", ".join(f"{n} {low:g} to {high:g}" for n, (low, high) in info.get("ranges", {}).items()),
        "cost, in gradients": info.get("cost", ""),
        "needs": ", ".join(info.get("needs", ())),
        "an update reads": {"leaf": "its own leaf", "tree": "all parameters"}.get(info.get("scope", ""), ""),
        "memory": f"{info['memory']} numbers for each parameter" if "memory" in info else "",
        "differs": info.get("differs", ""),
        "see": info.get("url", ""),
    }
    return {title: text for title, text in facts.items() if text}


def _of_optax() -> dict[str, Entry]:
    from gdlab.rules.from_optax import from_optax, names

    return {f"optax:{name}": Entry(f"optax:{name}", from_optax(name), "optax") for name in names()}


def list_configs(folder: Path) -> None:
    """Print the configs in a folder, each with its leading comment.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} here")
    for path in sorted(folder.glob("*.yaml")):
        click.echo(f"{path}  {leading_comment(path)}")


def list_experiments() -> None:
    """Print a line for each experiment that `gdlab reproduce` runs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("experiment", "what it shows", "sizes"):
        table.add_column(column, overflow="fold")
    for slug, one in known_experiments().items():
        table.add_row(slug, Text(one.description), ", ".join(["small", *one.sizes]))
    console().print(table)


def print_experiment(slug: str) -> None:
    """Print the description, config, sizes and checks of an experiment.

    Raises:
        UserError: there is no such experiment.
    """
    for one in chosen(slug):
        click.echo(f"{one.slug}\n\n{one.description}\n")
        click.echo(f"config: {one.path}\nsizes: {', '.join(['small', *one.sizes])}\nchecks: {', '.join(one.checks)}")


def _parameters(what: str, entry: Entry) -> list[str]:
    if what == "probes" and not entry.info.get("factory"):
        return ["every=1"]
    parameters = list(entry.parameters.values())[1 if what in ("figures", "checks") else 0 :]
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    words = [p.name if p.default is p.empty else f"{p.name}={_default(p.default)}" for p in named]
    if what == "probes":
        words.append("every=1")
    return [*words, "and those of the rule inside"] if entry.info.get("wraps") else words


def _title(what: str) -> str:
    return "options" if what in ("figures", "probes", "checks") else "hyperparameters"


def _default(value: Any) -> str:
    plain = value is None or isinstance(value, str | bool | int | float | tuple)
    return shown_number(value) if plain else f"<{type(value).__name__}>"
