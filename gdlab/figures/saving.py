"""Write figures to files reproducibly."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdlab.figures.style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Metadata that would change with the date or the version is omitted.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def save(figure: "Figure", stem: str | Path, formats: Sequence[str] = ("png", "pdf"), dpi: int = 200) -> list[Path]:
    """Write `STEM.FORMAT` for each format atomically, and return the paths.

    The folder is created if necessary. The same figure and version of matplotlib give the same bytes.

    Raises:
        ValueError: a format other than png, pdf or svg.
        OSError: the folder can't be written.
    """
    unknown = [form for form in formats if form not in _METADATA]
    if unknown:
        raise ValueError(f"a figure can't be saved as {', '.join(unknown)}; the formats are {', '.join(_METADATA)}")
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{form}") for form in formats]
    for form, path in zip(formats, paths, strict=True):
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with style():
                figure.savefig(partial, format=form, dpi=dpi, metadata=_METADATA[form])
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return paths
