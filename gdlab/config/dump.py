"""A `Config` as YAML."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from gdlab.config.schema import Config


def dump(config: Config) -> str:
    """The config with every default written out, as YAML 1.2 that loads back to an equal config.

    The paths of `code` are unchanged, so they are relative to the folder of the original config.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 110
    yaml.allow_unicode = True
    text = StringIO()
    yaml.dump(plain(config), text)
    return text.getvalue()


def plain(config: Config) -> dict[str, Any]:
    """The config as dicts, lists and scalars."""
    return _without_tuples(config.model_dump())


def _without_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_tuples(inside) for key, inside in value.items()}
    return [_without_tuples(inside) for inside in value] if isinstance(value, list | tuple) else value
