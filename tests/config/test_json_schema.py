"""The JSON schema that editors read."""

import json

from gdlab.config import json_schema


def kinds(schema, what):
    return {one["title"]: one for one in schema["$defs"][what]["oneOf"]}


def test_json_schema_is_json_whose_references_resolve():
    text = json.dumps(json_schema())
    names = {piece.partition('"')[0] for piece in text.split('"#/$defs/')[1:]}
    assert names <= set(json_schema()["$defs"])
    assert {"problem", "rule", "schedule", "figure", "axis"} <= names


def test_json_schema_has_registered_kinds_with_hyperparameters():
    schema = json_schema()
    assert set(kinds(schema, "rule")) == {"gd", "momentum", "optax:NAME"}
    momentum = kinds(schema, "rule")["momentum"]
    assert momentum["description"] == "Heavy ball. Polyak, 1964"
    assert momentum["required"] == ["kind"]
    assert momentum["additionalProperties"] is False
    assert momentum["properties"] == {
        "kind": {"const": "momentum"},
        "lr": {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/schedule"}], "default": 0.1},
        "beta": {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/schedule"}], "default": 0.9},
        "form": {"enum": ["sum", "mean"], "default": "sum"},
        "ema": {"type": "boolean", "default": False},
    }
    assert kinds(schema, "schedule")["warmup"]["properties"]["then"] == {
        "anyOf": [{"$ref": "#/$defs/schedule"}, {"type": "null"}]
    }
    network = kinds(schema, "problem")["network"]["properties"]
    assert network["widths"] == {"type": "array", "items": {"type": "integer"}, "default": [32]}
    assert set(kinds(schema, "figure")["curves"]["properties"]) == {"kind", "series", "levels", "notes"}
    named, _ = schema["$defs"]["Record"]["properties"]["probes"]["items"]["anyOf"]
    assert named == {"enum": ["curvature", "grad_norm"]}
    assert set(kinds(schema, "probe")["grad_norm"]["properties"]) == {"kind", "every"}
    assert set(kinds(schema, "probe")["curvature"]["properties"]) == {"kind", "every", "iterations"}


def test_json_schema_has_the_forms_of_an_axis():
    schema = json_schema()
    listed, *mappings = schema["$defs"]["axis"]["anyOf"]
    assert (listed["type"], listed["minItems"]) == ("array", 1)
    assert [(set(one["properties"]), one["required"]) for one in mappings] == [
        ({"log"}, ["log"]),
        ({"linear"}, ["linear"]),
        ({"random", "scale", "seed"}, ["random"]),
        ({"sobol", "scale", "seed"}, ["sobol"]),
        ({"random", "scale", "seed", "n"}, ["random", "n"]),
        ({"sobol", "scale", "seed", "n"}, ["sobol", "n"]),
    ]
    assert all(one["additionalProperties"] is False for one in mappings)
    sweep, part = schema["properties"]["sweep"], schema["$defs"]["part"]
    assert set(sweep["properties"]) == {"seed", "chain"}
    assert set(part["properties"]) == {"seed"}
    assert sweep["properties"]["chain"]["items"] == {"$ref": "#/$defs/part"}
    assert sweep["additionalProperties"] == part["additionalProperties"] == {"$ref": "#/$defs/axis"}


def test_json_schema_sections_are_strict_and_described():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert schema["then"]["required"] == ["name", "problem", "rules", "train"]
    for name, field in schema["properties"].items():
        assert field["description"], name
    for section in ("Train", "Stop", "Record", "Landscape", "Compute"):
        assert schema["$defs"][section]["additionalProperties"] is False
        for name, field in schema["$defs"][section]["properties"].items():
            assert field["description"], name
