"""The sections of a config, with their types and defaults. The register defines the hyperparameters of a kind."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Positive = Annotated[int, Field(gt=0, lt=2**31)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Kind(BaseModel):
    """A registered kind and its hyperparameters."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    kind: str = Field(min_length=1)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters, as written."""
        return dict(self.model_extra or {})


def named(written: Any) -> Any:
    """A name alone as a mapping with this kind; any other value unchanged."""
    return {"kind": written} if isinstance(written, str) else written


class Stop(_Section):
    """Criteria that end a run before its last step; null turns a criterion off."""

    grad_norm: float | None = Field(
        default=None, ge=0, description="a run has converged when the norm of its gradient is at most this"
    )
    loss: float | None = Field(default=None, description="a run has converged when its loss is at most this")
    bound: float | None = Field(default=None, description="a run has diverged when its loss is above this")


class Train(_Section):
    """How a run is trained."""

    steps: Positive = Field(description="the number of updates of a run")
    batch_size: Positive | None = Field(
        default=None, description="the number of examples in a batch; null: all examples at every step"
    )
    sampling: Literal["shuffle", "replacement"] = Field(
        default="shuffle", description="epochs in random order without replacement, or draws with replacement"
    )
    stop: Stop = Field(default=Stop(), description="criteria that end a run before its last step")


class Record(_Section):
    """What is recorded during a run."""

    every: Positive | None = Field(default=1, description="steps between two records; null: no series")
    probes: list[Annotated[Kind, BeforeValidator(named)]] = Field(
        default=[],
        description="what is recorded besides the loss; a probe's option `every`: the steps between its measurements",
    )


def _pair(points: Any) -> Any:
    if isinstance(points, int) and not isinstance(points, bool):
        return (points, points)
    return tuple(points) if isinstance(points, list) else points


_Count = Annotated[int, Field(ge=2, lt=2**31)]
_POINTS = {"type": "integer", "minimum": 2}


class Landscape(_Section):
    """The loss on a plane through parameter space."""

    runs: Literal["best", "all"] = Field(
        default="best",
        description="the runs whose paths are drawn. best: the best run of each rule; all: every run of the first seed",
    )
    plane: Literal["auto", "exact", "pca", "random", "hessian", "gradient"] = Field(
        default="auto",
        description="exact: the two parameters; pca: along the principal directions of the paths; random, hessian (top "
        "eigenvectors), gradient (and last displacement): through the end of the first path; auto: exact or pca",
    )
    normalise: Literal["filter", "layer", "tensor", "none"] = Field(
        default="filter",
        description="random directions are scaled to the norm of the weights by filter, layer or tensor (or none)",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="the seed of random directions")
    lines: Positive = Field(default=16, description="random lines through each run's end, for line_profile")
    points: Annotated[
        tuple[_Count, _Count] | None,
        BeforeValidator(_pair),
        WithJsonSchema(
            {"anyOf": [_POINTS, {"type": "array", "items": _POINTS, "minItems": 2, "maxItems": 2}, {"type": "null"}]}
        ),
    ] = Field(
        default=None, description="points along each direction: n, or [nx, ny]; null: 201 on an exact plane, else 51"
    )
    margin: float = Field(
        default=0.15, ge=0, description="how far the grid extends beyond the paths, as a share of their extent"
    )


class Compute(_Section):
    """How many runs are computed at the same time. These settings affect results only by rounding."""

    chunk: Positive | None = Field(
        default=None, description="the number of runs in one call of a program; null: chosen automatically"
    )
    tile: Positive | None = Field(
        default=None, description="the number of runs that are trained at the same time; null: as many as memory allows"
    )
    axis: Literal["first", "last"] | None = Field(
        default=None, description="where the arrays of a step have the axis of the runs; null: chosen automatically"
    )
    check_every: Positive | None = Field(
        default=None, description="steps between two checks whether a run has ended; null: chosen automatically"
    )


class Config(_Section):
    """An experiment: a problem, rules, the space of the sweep, and the figures."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100, description="names the folder of the results"
    )
    problem: Kind = Field(description="what is minimised")
    rules: dict[Annotated[str, Field(min_length=1)], Kind] = Field(
        min_length=1, description="the update rules, by their label in figures"
    )
    sweep: dict[str, Any] = Field(
        default={},
        description="the axes of the space: a hyperparameter of all rules, of one rule (rules.LABEL.NAME) or of the "
        "problem (problem.NAME), batch_size, or seed; names joined by commas are zipped",
    )
    train: Train = Field(description="how a run is trained")
    record: Record = Field(default=Record(), description="what is recorded during a run")
    landscape: Landscape | None = Field(
        default=None, description="the loss on a plane through parameter space; null: none"
    )
    figures: list[Annotated[Kind, BeforeValidator(named)]] = Field(
        default=[], description="the figures; one with `notes: false` has no title, no caption and no verdicts"
    )
    checks: list[Annotated[Kind, BeforeValidator(named)]] = Field(
        default=[], description="checks of claims against the results"
    )
    size: str = Field(
        default="small",
        min_length=1,
        description="the name of the size to run, from `sizes`; small: the config without changes",
    )
    sizes: dict[str, dict[str, Any]] = Field(
        default={},
        description="changes to the config for other sizes, by name; for example for the size used in a paper",
    )
    code: list[str] = Field(default=[], description="Python files that register kinds, relative to this file")
    precision: Literal["float32", "float64"] = Field(
        default="float32", description="the precision of all numbers of a run"
    )
    compute: Compute = Field(default=Compute(), description="how many runs are computed at the same time")
