"""The register of everything that a config can name by its `kind`: rules, schedules, problems, probes, figures, checks.

Built-in entries and user code use the same decorators:

    from gdlab import register

    @register.rule("my-rule", source="Me, 2026")
    def my_rule(lr=0.1): ...
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Make = TypeVar("Make", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """An entry of the register.

    Attributes:
        kind: its name in a config.
        make: the factory (for a probe without options, the probe; for figures and checks, the function of the results).
        source: author, year and place, as one line.
        info: further properties; `rule`, `problem`, `probe`, `figure` and `check` document their keys.
    """

    kind: str
    make: Callable[..., Any]
    source: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.make) or "").partition("\n")[0]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The hyperparameters by name, with their defaults and annotations."""
        return dict(inspect.signature(self.make).parameters)


rules: dict[str, Entry] = {}
schedules: dict[str, Entry] = {}
problems: dict[str, Entry] = {}
probes: dict[str, Entry] = {}
figures: dict[str, Entry] = {}
checks: dict[str, Entry] = {}


def _into(shelf: dict[str, Entry], kind: str, source: str, info: dict[str, Any]) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        # A file may be loaded twice (a config is validated, then run). Registering a different function
        # under the same kind is an error.
        known = shelf.get(kind)
        if known is not None and (known.make.__module__, known.make.__qualname__) != (
            make.__module__,
            make.__qualname__,
        ):
            raise ValueError(
                f"the kind {kind!r} is already registered, by {known.make.__module__}.{known.make.__qualname__}"
            )
        shelf[kind] = Entry(kind, make, source, info)
        return make

    return add


def rule(kind: str, *, source: str = "", **info: Any) -> Callable[[Make], Make]:
    """Register a rule factory.

    Keys of `info`, all optional:
        url, year: of the source.
        ranges: `{hyperparameter: (low, high)}`, a sensible range for sweeps.
        needs: what the update reads besides the gradients: "params", or an extra argument such as "value_fn".
        scope: what the update of one coordinate depends on: "coordinate" (the default), its "leaf" or the whole "tree".
        memory: numbers in the state per parameter.
        optax: the name in optax if it differs; None if optax uses this name for another rule.
        optax_with: the hyperparameters with which optax's rule equals this one.
        differs: one sentence on how optax or another framework differs.
        wraps: True if the rule wraps an inner rule (its hyperparameter `of`); it also takes the inner hyperparameters.
        projects: True if updates stay in a subspace, so that not every minimum can be reached.
        differentiable: False if a run can't be differentiated with respect to its hyperparameters.
        `stability(**hyperparameters) -> c`: on a quadratic with largest curvature L the rule is stable for lr < c / L.
        `preconditioned_stability(**hyperparameters) -> c`: the same for a rule that divides by P, with P constant and
            L the largest eigenvalue of P^-1 H.
    """
    return _into(rules, kind, source, info)


def schedule(kind: str, *, source: str = "", **info: Any) -> Callable[[Make], Make]:
    """Register a schedule factory: it takes hyperparameters and returns a function of the step number."""
    return _into(schedules, kind, source, info)


def problem(kind: str, *, source: str = "", **info: Any) -> Callable[[Make], Make]:
    """Register a problem factory. `examples(**hyperparameters) -> int` returns the number of training examples."""
    return _into(problems, kind, source, info)


def probe(kind: str, *, source: str = "", **info: Any) -> Callable[[Make], Make]:
    """Register a probe (see `gdlab.types.Probe`) or a probe factory.

    Keys of `info`, all optional:
        factory: True if the function is a factory that takes options and returns the probe; else it is the probe.
        cost: the cost of one measurement, in gradients on the step's batch; one line of text.
        url: of the source.
    """
    return _into(probes, kind, source, info)


def figure(kind: str, *, source: str = "", **info: Any) -> Callable[[Make], Make]:
    """Register a function that draws a Dataset.

    Keys of `info`, all optional:
        of: the part of the results that it draws: "sweep" (the default), or another part such as "landscape".
        dims: the dims that the Dataset must have.
        `needs(axes, options) -> str`: the reason why it can't draw a sweep with these axes and options, for example
            "can't show more than two axes"; empty if it can. `axes` is `{name: (dim, size)}`, including "rule"; zipped
            axes share a dim. A config is checked with this function before its runs begin.
    """
    return _into(figures, kind, source, info)


def check(kind: str, *, source: str = "", **info: Any) -> Callable[[Make], Make]:
    """Register a function of the results that returns claims (see `gdlab.analysis.claims`).

    Key of `info`, optional: `of`, as for `figure`.
    """
    return _into(checks, kind, source, info)
