"""The table of `gdlab best`."""

import numpy as np
import pytest
import xarray

from gdlab.cli.printing import print_best


@pytest.fixture
def data():
    dims = ("rule", "batch_size", "lr", "seed")
    loss = np.random.default_rng(0).uniform(1, 2, (2, 2, 3, 3))
    ends = {"diverged_at": (dims, np.full(loss.shape, -1)), "steps_taken": (dims, np.full(loss.shape, 9))}
    coords = {"rule": ["gd", "adam"], "batch_size": ["8", "all"], "lr": [0.1, 0.2, 0.4], "seed": [0, 1, 2]}
    return xarray.Dataset({"final_loss": (dims, loss), **ends}, coords)


def rows(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_print_best_has_a_row_for_each_batch_size(data, capsys):
    print_best(data, "final_loss")
    found = {" ".join(row[:3]): row[3] for row in rows(capsys) if row[0] in ("gd", "adam")}
    medians = data["final_loss"].median("seed")
    for rule in ("gd", "adam"):
        for size in ("8", "all"):
            best = medians.sel(rule=rule, batch_size=size)
            assert found[f"{rule} batch {size}"] == f"{best['lr'].values[best.values.argmin()]:.4g}"


def test_print_best_says_missing_of_runs_that_were_not_executed(data, capsys):
    data = data.isel(batch_size=0, drop=True)
    for name in ("diverged_at", "steps_taken"):
        data[name][0] = -1
        data[name][1, :, 2] = -1
    data["final_loss"][0] = np.nan
    data["final_loss"][1, :, 2] = np.nan
    print_best(data, "final_loss")
    header, gd, adam, *_ = rows(capsys)
    assert header[-3:] == ["runs", "diverged", "missing"]
    assert gd[:3] == ["gd", "-", "missing"]
    assert gd[-3:] == ["0", "0", "3"]
    assert adam[-3:] == ["2", "0", "1"]


def test_print_best_says_default_where_a_part_of_a_chain_lacks_the_axis(data, capsys):
    chain = data.isel(batch_size=0, drop=True).rename(lr="run")
    chain = chain.assign_coords(run=[0, 1, 2], lr=("run", [0.1, 0.2, np.nan]), beta=("run", [0.5, 0.5, 0.9]))
    chain["final_loss"][:, 2] = 0.5
    print_best(chain, "final_loss")
    out = rows(capsys)
    assert "nan" not in " ".join(word for row in out for word in row)
    assert all("default" in row for row in out if row[0] in ("gd", "adam"))
