"""Messages for a text that is not a YAML document."""

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from gdlab.config.errors import Mistake
from gdlab.config.source import Source

MOST_NODES = 50_000  # longer lists of values can be written as a spacing: {log: [lo, hi, n]}


class TooLargeError(Exception):
    """The document has more than `MOST_NODES` values, including those of its aliases."""


def syntax_error(error: Exception, source: Source) -> Mistake:
    """The error that says why the text can't be parsed."""
    if isinstance(error, MarkedYAMLError):
        return _marked(error, source)
    if isinstance(error, ReaderError):
        message = f"the character {chr(error.character)!r} is not allowed"
        return Mistake(message, source.mark_at(error.position))
    if isinstance(error, RecursionError):
        return Mistake("nested too deeply", source.whole)
    if isinstance(error, TooLargeError):
        return Mistake(f"more than {MOST_NODES:,} values, those of its aliases included", source.whole)
    return Mistake(f"not valid YAML: {error}", source.whole)


def _marked(error: MarkedYAMLError, source: Source) -> Mistake:
    problem, at = str(error.problem or error.context or "unknown"), error.problem_mark or error.context_mark
    mark = source.whole if at is None else source.mark(at.line + 1, at.column + 1)
    if "'\\t'" in problem:
        return Mistake("YAML can't be indented with tabs", mark, hint="use spaces")
    if "another document" in problem:
        return Mistake("a config must be a single document", mark)
    return Mistake(f"not valid YAML: {problem}", mark)
