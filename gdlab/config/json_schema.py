"""The JSON schema of a config, for editors: all registered kinds with their hyperparameters."""

from typing import Any

from gdlab import register
from gdlab.config import value_types
from gdlab.config.kinds import OPTAX, SHELVES, What, takes_of, wraps
from gdlab.config.merge import CHAIN, DRAWN, SPECS
from gdlab.config.schema import Config


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) with all registered kinds; load a config's `code` and import `gdlab.figures` first."""
    schema = Config.model_json_schema()
    definitions, fields = schema["$defs"], schema["properties"]
    del definitions["Kind"]
    definitions["schedule"] = _one_of("schedule")
    definitions["axis"] = _axis()
    definitions["problem"] = _one_of("problem")
    definitions["rule"] = _one_of("rule")
    fields["problem"] = {"$ref": "#/$defs/problem", "description": fields["problem"]["description"]}
    fields["rules"]["additionalProperties"] = {"$ref": "#/$defs/rule"}
    definitions["part"] = {"type": "object", **_axes(), "description": "axes of one space of the chain"}
    fields["sweep"] |= _axes()
    fields["sweep"]["properties"][CHAIN] = {
        **_values({"$ref": "#/$defs/part"}),
        "description": "spaces in sequence, each point once; the other axes multiply them",
    }
    names = {"enum": sorted(register.figures)}
    fields["figures"]["items"] = {"anyOf": [names, {"$ref": "#/$defs/figure"}]}
    definitions["figure"] = _one_of("figure")
    listed = {"enum": sorted(register.checks)}
    fields["checks"]["items"] = {"anyOf": [listed, {"$ref": "#/$defs/check"}]}
    definitions["check"] = _one_of("check")
    known = {"enum": sorted(register.probes)}
    definitions["Record"]["properties"]["probes"]["items"] = {"anyOf": [known, {"$ref": "#/$defs/probe"}]}
    definitions["probe"] = _one_of("probe")
    fields["extends"] = {"type": "string", "description": "a config that this one is merged over"}
    # A file that extends another may leave out any field.
    required = schema.pop("required")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "gdlab config",
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": required},
    }


def _one_of(what: What) -> dict[str, Any]:
    kinds = [_kind(what, kind, entry) for kind, entry in sorted(SHELVES[what].items())]
    if what == "rule":
        kinds.append(_optax())
    return {"oneOf": kinds} if kinds else {"not": {}}


def _kind(what: What, kind: str, entry: register.Entry) -> dict[str, Any]:
    takes, _, is_open = takes_of(what, kind, entry.make)
    properties: dict[str, Any] = {"kind": {"const": kind}}
    # A probe that is not a factory may be a pair of functions.
    defaults = {name: p.default for name, p in entry.parameters.items()} if callable(entry.make) else {}
    for name, allowed in takes.items():
        schema = value_types.schema(allowed)
        if what == "rule" and value_types.is_numeric(allowed) and value_types.SCHEDULE not in allowed:
            schema = {"anyOf": [schema, value_types.SCHEDULE_SCHEMA]}
        default = defaults.get(name)
        if isinstance(default, bool | int | float | str):
            schema = {**schema, "default": default}
        elif isinstance(default, tuple | list):
            schema = {**schema, "default": list(default)}
        properties[name] = schema
    if what == "rule" and wraps(kind):
        kinds = {"anyOf": [{"enum": sorted(register.rules)}, {"type": "string", "pattern": f"^{OPTAX}."}]}
        properties["of"] = {"anyOf": [kinds, {"$ref": "#/$defs/rule"}], "default": defaults["of"]}
    described = ". ".join(part for part in (entry.summary.rstrip("."), entry.source.rstrip(".")) if part)
    return {
        "type": "object",
        "title": kind,
        "description": described,
        "properties": properties,
        "required": ["kind"],  # a hyperparameter without a default may be swept
        "additionalProperties": is_open,
    }


def _optax() -> dict[str, Any]:
    return {
        "type": "object",
        "title": f"{OPTAX}NAME",
        "description": "A rule of optax, with its own hyperparameters; `lr` is its `learning_rate`",
        "properties": {"kind": {"type": "string", "pattern": f"^{OPTAX}."}},
        "required": ["kind"],
    }


def _axes() -> dict[str, Any]:
    seed = {
        "anyOf": [{"type": "integer", "minimum": 1}, _values({"type": "integer"})],
        "description": "a count or a list",
    }
    return {"properties": {"seed": seed}, "additionalProperties": {"$ref": "#/$defs/axis"}}


def _axis() -> dict[str, Any]:
    number, count = {"type": "number"}, {"type": "integer", "minimum": 1}
    scale: dict[str, Any] = {"enum": ["log", "linear"]}
    options = {"scale": {**scale, "default": "log"}, "seed": {"type": "integer", "minimum": 0, "default": 0}}
    ends = {
        "type": "array",
        "prefixItems": [number, number, count],
        "minItems": 3,
        "maxItems": 3,
        "description": "[lo, hi, n]",
    }
    box = {
        "type": "object",
        "additionalProperties": {"type": "array", "prefixItems": [number, number, scale], "minItems": 2, "maxItems": 3},
        "minProperties": 1,
        "description": "each axis with its ends: [lo, hi] or [lo, hi, scale]",
    }
    spaced = [_form(form, ends, options if form in DRAWN else {}) for form in SPECS]
    drawn = [_form(form, box, {"n": count, **options}, "n") for form in DRAWN]
    described = "a list of values, values from lo to hi, or rows of several axes drawn together"
    return {"anyOf": [_values({}), *spaced, *drawn], "description": described}


def _form(form: str, schema: dict[str, Any], options: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {form: schema, **options},
        "required": [form, *required],
        "additionalProperties": False,
    }


def _values(each: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": each, "minItems": 1}
