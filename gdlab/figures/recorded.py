"""A recorded series of a sweep, with converged and diverged runs continued to the last step."""

from typing import TYPE_CHECKING

import numpy as np

from gdlab.analysis.selection import STEP
from gdlab.errors import SelectionError
from gdlab.figures.curves_data import kept
from gdlab.figures.wording import spelled

if TYPE_CHECKING:
    import xarray


def recorded(data: "xarray.Dataset", series: str) -> "xarray.DataArray":
    """A series, in float64, at the steps at which any run has a value.

    The series of a diverged run is infinite from the step of divergence on. The series of a converged run keeps its
    last value to the end. Other missing values are NaN.

    Raises:
        SelectionError: no such series, or a series without values.
    """
    if series not in data or STEP not in data[series].dims:
        known = [str(name) for name, variable in data.data_vars.items() if STEP in variable.dims]
        raise SelectionError(f"there is no series {series!r} in the results; there are {spelled(known) or 'none'}")
    values = data[series].astype(float)
    seen = values.notnull().any([dim for dim in values.dims if dim != STEP])
    if not seen.any():
        raise SelectionError(f"the series {series!r} has no values")
    values = values.isel({STEP: np.flatnonzero(seen.values)})
    if "converged_at" in data:
        whole = values.transpose(..., STEP)
        converged = (data["converged_at"] >= 0).broadcast_like(whole.isel({STEP: 0}, drop=True))
        converged = converged.transpose(*whole.dims[:-1])
        values = whole.copy(data=kept(whole.values, converged.values[..., None])).transpose(*values.dims)
    if "diverged_at" in data:
        ended = data["diverged_at"]
        values = values.where(~((ended >= 0) & (values[STEP] >= ended)), np.inf).transpose(*values.dims)
    return values
