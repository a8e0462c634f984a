"""`gdlab validate`, `schema` and `list`: what a config may contain."""

from pathlib import Path

import click

from gdlab.cli.exits import mistakes
from gdlab.cli.options import load
from gdlab.errors import UserError

SHELVES = ("rules", "problems", "probes", "figures", "schedules", "checks")


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def validate(config: Path, overrides: tuple[str, ...]) -> None:
    """Check a config, without running it."""
    with mistakes():
        import gdlab.figures  # noqa: F401  (fills the register)

        loaded = load(config, overrides)
        from gdlab.cli.printing import described

        click.echo(f"{config} is fine: {described(loaded)}")


@click.command()
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    import json

    import gdlab.figures  # noqa: F401  (fills the register)
    from gdlab.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@click.command("list")
@click.argument("what", type=click.Choice([*SHELVES, "configs", "experiments"]))
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="With rules: print the page docs/rules.md.")
def list_(what: str, name: str | None, markdown: bool) -> None:
    """List what a config can name; with NAME, describe one."""
    with mistakes():
        from gdlab.cli import listing

        if markdown and (what != "rules" or name is not None):
            raise UserError("--markdown prints all rules: gdlab list rules --markdown")
        if what == "configs":
            if name is not None:
                raise UserError(f"gdlab list configs takes no NAME; to check a config: gdlab validate {name}")
            listing.list_configs(Path("configs"))
            return
        if what == "experiments":
            if name is None:
                listing.list_experiments()
            else:
                listing.print_experiment(name)
            return
        import gdlab.figures
        import gdlab.problems
        import gdlab.rules
        import gdlab.schedules
        import gdlab.training.probes  # noqa: F401
        from gdlab import register

        shelf = getattr(register, what)
        if markdown:
            click.echo(listing.markdown_of_rules(shelf), nl=False)
        elif name is None:
            listing.list_shelf(what, shelf)
        else:
            listing.print_entry(what, shelf, name)
