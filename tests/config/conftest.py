"""A register of a few known kinds in place of the built-in ones, for each test of configs."""

from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import optax
import pytest

from gdlab import config, register
from gdlab.config.kinds import SHELVES
from gdlab.types import Problem


def gd(lr: float = 0.1):
    """Plain descent."""
    return optax.sgd(lr)


def momentum(lr: float = 0.1, beta: float = 0.9, form: Literal["sum", "mean"] = "sum", ema: bool = False):
    """Heavy ball."""
    return optax.sgd(lr, beta)


def cosine(peak: float, steps: int, floor: float = 0.0):
    """Half a cosine."""
    return lambda step: floor + (peak - floor) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0.0, 1.0)))


def warmup(steps: int, then: optax.Schedule | None = None):
    """A ramp, then another schedule."""
    return lambda step: jnp.minimum(step / steps, 1.0) * (1.0 if then is None else then(step - steps))


def bowl(condition: float = 10.0, start: tuple[float, float] = (1.0, 1.0), spread: float | None = None):
    """A quadratic."""
    return Problem(init=lambda key: None, loss=lambda params, batch: condition, sample=lambda key, step, size: None)


def network(data: Literal["digits", "wine"], widths: tuple[int, ...] = (32,), l2: float = 0.0):
    """A small network."""
    return Problem(init=lambda key: None, loss=lambda params, batch: l2)


def curvature(iterations: int = 5):
    """A probe with an option."""
    return lambda step: step.value * iterations


def curves(data, *, series: str = "loss", levels: int = 10):
    """Curves over steps."""


@pytest.fixture(autouse=True)
def kinds():
    """The register has these kinds and no others."""
    before = {what: dict(shelf) for what, shelf in SHELVES.items()}
    for shelf in SHELVES.values():
        shelf.clear()
    register.rule("gd")(gd)
    register.rule("momentum", source="Polyak, 1964")(momentum)
    register.schedule("cosine")(cosine)
    register.schedule("warmup")(warmup)
    register.problem("bowl")(bowl)
    register.problem("plain")(lambda scale=1.0: Problem(init=lambda key: None, loss=lambda params, batch: scale))
    register.problem("network", examples=lambda data, widths=(): {"digits": 1437, "wine": 142}[data])(network)
    register.probe("grad_norm")(lambda step: step.grads)
    register.probe("curvature", factory=True)(curvature)
    register.figure("curves", dims=("step",))(curves)
    register.figure("sensitivity", dims=("lr",))(lambda data, *, metric="final_loss": None)
    register.figure(
        "pair", needs=lambda axes, options: "" if len(axes) < 3 else f"draws one axis, not {len(axes) - 1}"
    )(lambda data: None)
    register.figure("surface", of="landscape", dims=("x", "y"))(lambda data: None)
    yield
    for what, shelf in SHELVES.items():
        shelf.clear()
        shelf.update(before[what])


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(text, name="x.yaml")` writes a file into the current folder, a temporary one, and returns its path."""
    monkeypatch.chdir(tmp_path)

    def put(text: str, name: str = "x.yaml") -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


@pytest.fixture
def errors_of(write):
    """`errors_of(text, *overrides)`: the message of the ConfigError that a config raises."""

    def tell(text: str, *overrides: str, name: str = "x.yaml") -> str:
        with pytest.raises(config.ConfigError) as caught:
            config.load(write(text, name), overrides)
        return str(caught.value)

    return tell
