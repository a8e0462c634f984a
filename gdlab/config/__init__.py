"""Config files: read, checked and resolved into what the Python interface takes."""

from gdlab.config.code import CodeError, load_code
from gdlab.config.dump import dump
from gdlab.config.errors import ConfigError, Mark, Mistake
from gdlab.config.files import said_in
from gdlab.config.json_schema import json_schema
from gdlab.config.load import load
from gdlab.config.resolved import Resolved
from gdlab.config.schema import Config, Kind

__all__ = [
    "CodeError",
    "Config",
    "ConfigError",
    "Kind",
    "Mark",
    "Mistake",
    "Resolved",
    "dump",
    "json_schema",
    "load",
    "load_code",
    "said_in",
]
