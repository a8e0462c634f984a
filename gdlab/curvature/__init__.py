"""Matrix-free curvature of a loss: matrix-vector products, eigenvalues, traces and spectral densities."""

from gdlab.curvature.dense import dense
from gdlab.curvature.density import Density, smoothed, spectral_density
from gdlab.curvature.eigen import Eigen, Which, top
from gdlab.curvature.lanczos import Tridiagonal, lanczos
from gdlab.curvature.layers import join, layer_products, layer_top, split
from gdlab.curvature.preconditioned import preconditioned
from gdlab.curvature.products import Matvec, fisher_product, ggn_product, hessian_product
from gdlab.curvature.products_of_problem import Kind, product_of
from gdlab.curvature.ritz import ritz
from gdlab.curvature.trace import Estimate, Method, diagonal, trace

__all__ = [
    "Density",
    "Eigen",
    "Estimate",
    "Kind",
    "Matvec",
    "Method",
    "Tridiagonal",
    "Which",
    "dense",
    "diagonal",
    "fisher_product",
    "ggn_product",
    "hessian_product",
    "join",
    "lanczos",
    "layer_products",
    "layer_top",
    "preconditioned",
    "product_of",
    "ritz",
    "smoothed",
    "spectral_density",
    "split",
    "top",
    "trace",
]
