"""Artificial results with the dims of a sweep."""

import numpy as np
import pytest
import xarray

RULES = ("gd", "momentum", "rmsprop", "adagrad", "adam")


def sweep_results(rules=RULES, rates=24, seeds=4, steps=50, *, extra=None, lowest=1e-4, highest=10.0, seed=0):
    """Losses with a minimum over log(lr), at a different rate for each rule; at high rates some seeds diverge."""
    rng = np.random.default_rng(seed)
    lr = np.geomspace(lowest, highest, rates)
    centres = np.linspace(-0.5, -3, len(rules))[:, None, None]
    wobble = rng.normal(0, 0.15, (len(rules), 1, seeds))
    distance = np.log10(lr)[None, :, None] - centres - 0.3 * wobble
    final = np.exp(-2.5 + 0.6 * distance**2 + wobble)
    final = np.minimum(final, 2.3 + 0.1 * wobble)
    diverged_at = np.where(distance > 1.0, np.maximum(1, 20 - 8 * distance).astype(int), -1)
    step = np.arange(0, steps * 10, 10)
    decay = np.exp(-step / (60 * (1 + distance[..., None] ** 2)))
    loss = final[..., None] + (2.3 - final[..., None]) * decay + 0.02 * rng.normal(size=(*final.shape, steps))
    after = (diverged_at[..., None] >= 0) & (step > diverged_at[..., None])
    dims = ("rule", "lr", "seed")
    data = xarray.Dataset(
        {
            "final_loss": (dims, np.where(diverged_at >= 0, np.nan, final)),
            "best_loss": (dims, final),
            "steps_taken": (dims, np.where(diverged_at >= 0, diverged_at, steps * 10)),
            "diverged_at": (dims, diverged_at),
            "converged_at": (dims, np.full(final.shape, -1)),
            "eval_accuracy": (dims, np.where(diverged_at >= 0, np.nan, 1 - final / 3)),
            "loss": ((*dims, "step"), np.where(after, np.nan, np.abs(loss))),
            "grad_norm": ((*dims, "step"), np.where(after, np.nan, np.abs(loss) ** 0.5)),
        },
        {"rule": np.array(rules, object), "lr": lr, "seed": np.arange(seeds), "step": step},
        {"name": "quickstart", "problem": "mlp on digits"},
    )
    for name, values in (extra or {}).items():
        data = xarray.concat([data * (1 + 0.1 * i) if i else data for i in range(len(values))], name).assign_coords(
            {name: values}
        )
        for whole in ("diverged_at", "converged_at", "steps_taken"):
            data[whole] = data[whole].astype(int)
    return data


@pytest.fixture(scope="session")
def five():
    """Five rules, 24 rates, 4 seeds."""
    return sweep_results()


@pytest.fixture(scope="session")
def words():
    """All the text on a figure, as one line."""
    from matplotlib.text import Text

    return lambda figure: " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


@pytest.fixture(scope="session")
def make():
    """The function `sweep_results`."""
    return sweep_results
