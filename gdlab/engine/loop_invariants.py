"""Split a traced function into what depends on constants only, which is computed once, and the rest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

# Primitives whose result XLA computes where it is used. Where the result is larger than the operands, keeping it in
# memory would be slower.
_FUSED = frozenset({"broadcast_in_dim", "iota", "convert_element_type"})


class TracedFunction:
    """A function `fn(constants, *varying)` as equations; `result`: the shapes of what it returns."""

    def __init__(self, fn: Callable[..., Any], constants: Any, *varying: Any) -> None:
        closed, self.result = jax.make_jaxpr(fn, return_shape=True)(constants, *varying)
        self._jaxpr, self._consts = closed.jaxpr, closed.consts
        count = len(jax.tree.leaves(constants))
        self._constants, self._varying = self._jaxpr.invars[:count], self._jaxpr.invars[count:]
        known = {*self._jaxpr.constvars, *self._constants}
        self._early, self._late = [], []
        for eqn in self._jaxpr.eqns:
            if not eqn.effects and all(_is_literal(var) or var in known for var in eqn.invars):
                known.update(eqn.outvars)
                self._early.append(eqn)
            else:
                self._late.append(eqn)
        self._late = [*self._fused(known), *self._late]
        made = {var for eqn in self._late for var in eqn.outvars}
        given = {*self._jaxpr.constvars, *self._varying, *made}
        wanted = dict.fromkeys(_read(self._late, self._jaxpr.outvars))
        self.prepared = [var for var in wanted if var not in given]  # in `_early`, or a constant
        self._early = list(_needed(self._early, self.prepared))

    def _fused(self, known: set[Any]) -> list[Any]:
        """The early equations that are computed again where they are used, in order."""
        makers = {var: eqn for eqn in self._early for var in eqn.outvars}
        again: dict[int, Any] = {}
        wanted = [var for var in _read(self._late, self._jaxpr.outvars) if var in known]
        while wanted:
            eqn = makers.get(wanted.pop())
            if eqn is None or id(eqn) in again or eqn.primitive.name not in _FUSED:
                continue
            if max((var.aval.size for var in eqn.invars), default=0) < eqn.outvars[0].aval.size:
                again[id(eqn)] = eqn
                wanted.extend(var for var in eqn.invars if not _is_literal(var))
        return [eqn for eqn in self._early if id(eqn) in again]

    def kinds(self, constants: Sequence[int], varying: Sequence[int]) -> tuple[list[int], list[int]]:
        """The kinds of the prepared values and of the results, from the kinds of the arguments (leaves in order).

        The kind of a value is the largest kind of the values that it is computed from.
        """
        found = dict.fromkeys(self._jaxpr.constvars, 0)
        found |= dict(zip((*self._constants, *self._varying), (*constants, *varying), strict=True))

        def kind(var: Any) -> int:
            return 0 if _is_literal(var) else found[var]

        for eqn in self._jaxpr.eqns:
            found |= dict.fromkeys(eqn.outvars, max((kind(var) for var in eqn.invars), default=0))
        return [kind(var) for var in self.prepared], [kind(var) for var in self._jaxpr.outvars]

    def prepare(self, *constants: Any) -> list[Any]:
        """The values that depend on the constants only."""
        values = self._with_consts(self._constants, constants)
        evaluate(self._early, values)
        return [values[var] for var in self.prepared]

    def body(self, *args: Any) -> list[Any]:
        """The leaves of the result, from the prepared values and the leaves of the varying arguments."""
        values = self._with_consts([*self.prepared, *self._varying], args)
        evaluate(self._late, values)
        return [var.val if _is_literal(var) else values[var] for var in self._jaxpr.outvars]

    def _with_consts(self, names: Sequence[Any], args: Sequence[Any]) -> dict[Any, Any]:
        return dict(zip((*self._jaxpr.constvars, *names), (*self._consts, *args), strict=True))


def evaluate(eqns: Iterable[Any], values: dict[Any, Any]) -> None:
    """Evaluate equations in order. `values` maps variables to arrays; the results are added to it."""
    for eqn in eqns:
        args = [var.val if _is_literal(var) else values[var] for var in eqn.invars]
        with eqn.ctx.manager:  # the settings of JAX under which it was traced
            found = eqn.primitive.bind(*args, **eqn.primitive.get_bind_params(eqn.params))
        results = found if eqn.primitive.multiple_results else [found]
        values.update(zip(eqn.outvars, results, strict=True))


def _is_literal(var: Any) -> bool:
    return hasattr(var, "val")


def _read(eqns: Iterable[Any], outvars: Iterable[Any]) -> Iterator[Any]:
    """The variables that equations and results read."""
    for var in (*(var for eqn in eqns for var in eqn.invars), *outvars):
        if not _is_literal(var):
            yield var


def _needed(eqns: Sequence[Any], wanted: Iterable[Any]) -> list[Any]:
    """The equations that the wanted variables depend on, in order."""
    needed, kept = set(wanted), []
    for eqn in reversed(eqns):
        if needed.intersection(eqn.outvars):
            kept.append(eqn)
            needed.update(_read([eqn], ()))
    return kept[::-1]
