"""Compare Hessian and Gauss-Newton eigenvalues and traces of a trained network with those of curvlinops in PyTorch.

gdlab trains a perceptron on images of digits; both libraries then use the same parameters and examples, in float64.
gdlab computes its values with Lanczos. curvlinops (Dangel, Eschenhagen, Weber et al.) provides the operator, SciPy's
`eigsh` (ARPACK) its eigenvalues, and products with all unit vectors its exact trace. Runs offline, in some minutes on
two cores:

    pip install torch scipy curvlinops-for-pytorch && python experiments/curvature_against_curvlinops.py
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import gdlab
from gdlab.curvature import product_of, top, trace
from gdlab.problems import mlp
from gdlab.rules import momentum
from gdlab.types import Params

EXAMPLES = 512


def trained(steps: int = 300) -> tuple[gdlab.Problem, Params, Any]:
    """A problem, the final params of a run, and the batch on which the curvature is measured."""
    problem = mlp(data="digits", widths=(16,), activation="tanh", l2=1e-3)
    run = jax.jit(lambda key: gdlab.descend(problem, momentum(lr=0.05), key, steps=steps, batch_size=64, every=None))
    return problem, run(jax.random.key(0)).params, jax.tree.map(lambda x: x[:EXAMPLES], problem.data)


def of_gdlab(problem: gdlab.Problem, params: Params, batch: Any) -> dict[str, float]:
    """Eigenvalues and traces computed by `gdlab.curvature`, as a dict from names to values."""
    key = jax.random.key(1)

    @jax.jit
    def measure(params: Params) -> Any:
        hessian, ggn = (product_of(problem, params, batch, kind) for kind in ("hessian", "ggn"))
        highest = top(hessian, params, 5, key, steps=80)
        lowest = top(hessian, params, 1, key, steps=80, which="smallest")
        estimates = [trace(hessian, params, key, probes=300, method=method) for method in ("hutchinson", "hutch++")]
        return highest, lowest, top(ggn, params, 1, key, steps=80), estimates

    highest, lowest, ggn, (plain, better) = measure(params)
    named = {f"Hessian, eigenvalue {i + 1}": value for i, value in enumerate(highest.values)}
    named |= {"Hessian, smallest eigenvalue": lowest.values[0], "GGN, largest eigenvalue": ggn.values[0]}
    named |= {"Hessian, trace (Hutchinson)": plain.value, "Hessian, trace (Hutch++)": better.value}
    for name, found in (("largest", highest), ("smallest", lowest), ("GGN", ggn)):
        print(f"{name}: residuals up to {float(found.residuals.max()):.1e}, converged {bool(found.converged.all())}")
    print(f"standard errors of the trace: {float(plain.stderr):.3g} and {float(better.stderr):.3g}")
    return {name: float(value) for name, value in named.items()}


def of_curvlinops(params: Params, batch: Any, l2: float) -> dict[str, float]:
    """The same quantities, computed by curvlinops, ARPACK and unit vectors."""
    import torch
    from curvlinops import GGNLinearOperator, HessianLinearOperator
    from scipy.sparse.linalg import eigsh

    torch.set_default_dtype(torch.float64)
    layers = [params["layers"][i] for i in range(2)]
    model = torch.nn.Sequential(
        torch.nn.Linear(*layers[0]["kernel"].shape), torch.nn.Tanh(), torch.nn.Linear(*layers[1]["kernel"].shape)
    )
    with torch.no_grad():
        for module, layer in zip((model[0], model[2]), layers, strict=True):
            module.weight.copy_(torch.tensor(np.asarray(layer["kernel"]).T))
            module.bias.copy_(torch.tensor(np.asarray(layer["bias"])))
    data = [(torch.tensor(np.asarray(batch.x, np.float64)), torch.tensor(np.asarray(batch.y, np.int64)))]
    weights = list(model.parameters())
    # curvlinops does not support penalties. The Hessian of this one is l2 on the kernels and 0 on the biases.
    ridge = np.concatenate([np.full(w.numel(), l2 if w.ndim == 2 else 0.0) for w in weights])
    loss = torch.nn.CrossEntropyLoss()
    matrices = [kind(model, loss, weights, data) for kind in (HessianLinearOperator, GGNLinearOperator)]
    hessian, ggn = (matrix.to_scipy(np.float64) for matrix in matrices)
    whole = hessian @ np.eye(len(ridge)) + np.diag(ridge)
    highest = eigsh(whole, 5, which="LA", tol=1e-12)[0][::-1]
    named = {f"Hessian, eigenvalue {i + 1}": value for i, value in enumerate(highest)}
    named |= {"Hessian, smallest eigenvalue": eigsh(whole, 1, which="SA", tol=1e-12)[0][0]}
    named |= {"GGN, largest eigenvalue": eigsh(ggn, 1, which="LA", tol=1e-12)[0][0]}
    return named | {f"Hessian, trace ({name})": np.trace(whole) for name in ("Hutchinson", "Hutch++")}


def timed(name: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return `measure()` and print how long it took, including compilation."""
    began = time.perf_counter()
    numbers = measure()
    print(f"{name}: {time.perf_counter() - began:.1f} s")
    return numbers


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    problem, params, batch = trained()
    ours = timed("gdlab", lambda: of_gdlab(problem, params, batch))
    theirs = timed("curvlinops", lambda: of_curvlinops(params, batch, 1e-3))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    print(f"\n{sum(sizes)} parameters, {EXAMPLES} examples, loss {float(problem.loss(params, batch)):.4f}\n")
    print("| quantity | gdlab | curvlinops | relative difference |\n|---|---|---|---|")
    for name, value in ours.items():
        print(f"| {name} | {value:.10f} | {theirs[name]:.10f} | {abs(value / theirs[name] - 1):.1e} |")
