"""Messages for pydantic's validation errors."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gdlab.config.errors import dotted, shown
from gdlab.config.node import Path, Report
from gdlab.config.schema import Config
from gdlab.errors import did_you_mean, nearest

# By pydantic's error type. {value} is the given value; the other names are in the context of pydantic's error.
_WORDS = {
    "int_type": "must be a whole number, not {value}",
    "int_from_float": "must be a whole number, not {value}",
    "float_type": "must be a number, not {value}",
    "finite_number": "must be a finite number, not {value}",
    "string_type": "must be text, not {value}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "string_pattern_mismatch": "must be letters, digits and ._-, beginning with a letter or a digit, not {value}",
    "greater_than": "must be greater than {gt}, not {value}",
    "greater_than_equal": "must be at least {ge}, not {value}",
    "less_than": "must be less than {lt}, not {value}",
    "literal_error": "must be {expected}, not {value}",
    "list_type": "must be a list, not {value}",
    "dict_type": "must be a mapping, not {value}",
    "model_type": "must be a mapping, not {value}",
    "too_short": "must have at least {min_length}",
    "missing": "is missing",
}
_POINTS: Path = ("landscape", "points")
_LISTED: dict[Path, str] = {("figures",): "figure", ("checks",): "check", ("record", "probes"): "probe"}


def report_validation_errors(error: ValidationError, written: Any, report: Report) -> None:
    """Add each validation error to the report, at its field."""
    findings = error.errors(include_url=False)
    strange = [_sound(finding["loc"]) for finding in findings if finding["type"] == "extra_forbidden"]
    meant = {(*path[:-1], nearest(str(path[-1]), _keys(path[:-1]))) for path in strange}
    for finding in findings:
        path, kind = _sound(finding["loc"]), finding["type"]
        if kind == "extra_forbidden":
            keys = _keys(path[:-1])
            hint = did_you_mean(str(path[-1]), keys) or f"{dotted(path[:-1]) or 'a config'} has {', '.join(keys)}"
            report.add(path, "unknown key", hint=hint, key=True)
        elif path[:2] == _POINTS:
            _report_points(path, finding, _value(written, _POINTS), report)
        elif kind != "missing" or path not in meant:  # a key with a misspelt name is not missing
            report.add(path, _words(path, finding), hint=_hint(finding), key=kind == "missing")


def _words(path: Path, finding: ErrorDetails) -> str:
    kind, context = finding["type"], dict(finding.get("ctx", {}))
    if kind not in _WORDS:
        return finding["msg"][:1].lower() + finding["msg"][1:]
    context = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in context.items()}
    if kind == "literal_error":
        context["expected"] = ", ".join(_choices(finding)[:-1]) + " or " + _choices(finding)[-1]
    words = _WORDS[kind]
    if kind == "model_type" and path[:-1] in _LISTED:
        words = f"must be a {_LISTED[path[:-1]]}'s name, or a mapping with its kind and its options, not {{value}}"
    return words.format(**context, value=shown(finding["input"]))


def _hint(finding: ErrorDetails) -> str:
    kind, value = finding["type"], finding["input"]
    if kind == "int_type" and isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return f"write {int(value)}"
    return did_you_mean(value, _choices(finding)) if kind == "literal_error" and isinstance(value, str) else ""


def _choices(finding: ErrorDetails) -> list[str]:
    return finding["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")


def _report_points(path: Path, finding: ErrorDetails, points: Any, report: Report) -> None:
    """`points: 51` becomes a pair before validation, so the error's path is not in the config."""
    if isinstance(points, list) and len(points) == 2:
        report.add(path, _words(path, finding))
    elif isinstance(points, list) or finding["type"] == "tuple_type":
        report.add(_POINTS, f"must be a number or a pair of numbers, not {shown(points)}")
    else:
        report.add(_POINTS, _words(path, finding))


def _sound(loc: Path) -> Path:
    return tuple(part for part in loc if part != "[key]")


def _keys(path: Path) -> list[str]:
    """The keys of the section at `path`."""
    model: type[BaseModel] = Config
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        options = [annotation, *get_args(annotation)]
        model = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return list(model.model_fields)


def _value(written: Any, path: Path) -> Any:
    for part in path:
        written = written[part]
    return written
