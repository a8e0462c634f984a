"""Why a text is not a YAML document, in words."""

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from gdlab.config.errors import Mistake
from gdlab.config.source import Source


class TooLargeError(Exception):
    """The document, its aliases written out, is larger than memory should have to hold."""


def refused(error: Exception, source: Source) -> Mistake:
    """Why there is no document."""
    if isinstance(error, MarkedYAMLError):
        return _syntax(error, source)
    if isinstance(error, ReaderError):
        message = f"the character {chr(error.character)!r} is not allowed"
        return Mistake(message, source.mark_at(error.position))
    if isinstance(error, RecursionError):
        return Mistake("nested too deeply", source.whole)
    if isinstance(error, TooLargeError):
        return Mistake("too large once its aliases are written out", source.whole)
    return Mistake(f"not valid YAML: {error}", source.whole)


def _syntax(error: MarkedYAMLError, source: Source) -> Mistake:
    problem, at = str(error.problem or error.context or "unknown"), error.problem_mark or error.context_mark
    mark = source.whole if at is None else source.mark(at.line + 1, at.column + 1)
    if "'\\t'" in problem:
        return Mistake("a tab can't indent YAML", mark, hint="use spaces")
    if "another document" in problem:
        return Mistake("a config is a single document", mark)
    return Mistake(f"not valid YAML: {problem}", mark)
