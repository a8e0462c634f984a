"""The landscape that a config asks for: which runs are shown on it, and which problem it is of."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab import config as configs
from gdlab.best import best
from gdlab.config import Config
from gdlab.engine.space import ABSENT, space
from gdlab.engine.watch import Progress
from gdlab.run_landscape import run_landscape, two_parameters
from gdlab.training import PROBLEM, rule_axes

if TYPE_CHECKING:
    import xarray


def landscape_of(
    config: Config, data: "xarray.Dataset", progress: Callable[[Progress], None] = lambda progress: None
) -> "xarray.Dataset | None":
    """The landscape that a config asks for, with the path of the best run of each rule (of its seeds, the first).

    On a problem of two parameters a rule all of whose runs diverged shows that which lasted longest. Elsewhere it is
    left out, since its path would decide the plane; None where no rule is left.

    Raises:
        gdlab.errors.SelectionError: the problem does not have the plane that is asked for.
    """
    assert config.landscape is not None
    asked, train, factories = config.landscape, config.train, configs.rule_factories(config)
    top = _shown(data, flat=two_parameters(configs.problem_factory(config)(**_first(config))))
    if not top.sizes["rule"]:
        return None
    axes = [name for name in space(configs.over(config)).names if name != "seed"]
    seed = int(data["seed"].values[0]) if "seed" in data.coords else 0
    chosen: dict[str, dict[str, Any]] = {}
    for label in top["rule"].values:
        one = top.sel(rule=label)
        given = _given(one, axes)
        own = {x: given[name] for x, name in rule_axes(factories, label, list(given)).items()}
        # Where an axis is not given everywhere, its whole numbers stand among NaN, and are floats.
        sizes = {n: int(v) if isinstance(v, float) else v for n, v in given.items() if n == "batch_size"}
        chosen[label] = own | sizes | {"seed": seed}
    # All paths lie on one surface: where the problem itself is swept, it is that of the best rule.
    leader = top.isel(rule=int(top["final_loss"].fillna(np.inf).values.argmin()))
    swept = {n.removeprefix(PROBLEM): value for n, value in _given(leader, axes).items() if n.startswith(PROBLEM)}
    with configs.precision(config):
        drawn = run_landscape(
            configs.problem_factory(config)(**swept),
            factories,
            chosen,
            steps=train.steps,
            plane=asked.plane,
            points=asked.points,
            margin=asked.margin,
            batch_size=train.batch_size,
            sampling=train.sampling,
            stop=configs.stop(config),
            chunk=config.compute.chunk,
            progress=lambda state: progress(state._replace(label="the landscape")),
        )
    runs = f"{data['final_loss'].size:,} runs"
    drawn = drawn.assign(path_diverged=("rule", ~top["found"].values))
    return drawn.assign_attrs(data.attrs, paths=f"Paths: one run of each rule (seed {seed}), its best; {runs} in all")


def _shown(data: "xarray.Dataset", flat: bool) -> "xarray.Dataset":
    """The points whose runs are shown, as `best` gives them."""
    top = best(data)
    if not flat:
        return top.isel(rule=np.flatnonzero(top["found"].values))
    lasted = data["steps_taken"].median("seed") if "seed" in data.dims else data["steps_taken"]
    places = lasted.argmax([dim for dim in lasted.dims if dim != "rule"])
    assert isinstance(places, dict)
    for name, axis in data.coords.items():
        if name in top.coords and set(axis.dims) & set(places):
            longest = axis.isel({dim: place for dim, place in places.items() if dim in axis.dims})
            top = top.assign_coords({name: ("rule", np.where(top["found"], top[name].values, longest.values))})
    return top


def _given(one: "xarray.Dataset", axes: Sequence[str]) -> dict[str, Any]:
    """The values of the axes at one point, without those that a chain does not give there."""
    values = {name: one[name].item() for name in axes}
    absent = [n for n, v in values.items() if v == str(ABSENT) or (isinstance(v, float) and np.isnan(v))]
    return {name: value for name, value in values.items() if name not in absent}


def _first(config: Config) -> dict[str, Any]:
    """The values at the first point of the axes that are the problem's."""
    firsts = {name: value for block in space(configs.over(config)).blocks for name, value in block.row(0).items()}
    return {n.removeprefix(PROBLEM): value for n, value in firsts.items() if n.startswith(PROBLEM)}
