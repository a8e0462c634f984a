"""The layout of the package, and the public names that a reorganisation must keep."""

from pathlib import Path

import pytest

import gdlab

PACKAGE = Path(gdlab.__file__).parent
PACKAGES = """
    analysis bench cli config curvature engine experiment figures landscape problems rules schedules search training
"""
# The names that were public when the modules moved to fourteen packages.
PUBLIC = {
    "gdlab": """
        Outcome Problem Process Rule Step Stop Trace chain config connectivity curvature descend evaluate
        expected_best exports figures landscape linear log open_results probes problems random register
        rules schedules search seed_interval sobol surfaces sweep
    """,
    "config": """
        CodeError Config ConfigError Kind Mark Mistake dump json_schema load load_code
    """,
    "connectivity": """
        Connection barrier connect curve_losses curve_problem interpolate
    """,
    "curvature": """
        Density Eigen Estimate Kind Matvec Method Tridiagonal Which dense diagonal fisher_product
        ggn_product hessian_product join lanczos layer_products layer_top preconditioned product_of ritz
        smoothed spectral_density split top trace
    """,
    "exports": """
        to_movie to_page to_vtk
    """,
    "figures": """
        RuleStyle curvature_map gradient_flow landscape landscape_grid line_profile loss_curves
        lr_sensitivity rule_panels rule_styles save sharpness sharpness_map spectrum surface_3d
    """,
    "landscape": """
        Curve Flat Normalise Plane aligned at between captured_share coordinate_plane cosine eigen_plane
        gradient_direction nearest normalised on_curve pca_plane plane_of point project random_direction
        random_plane report triangle_plane unit
    """,
    "probes": """
        distance every grad_cosine grad_norm gradient_signal_ratio hessian_trace layer_grad_norms
        layer_update_norms noise_scale param_norm position preconditioned_sharpness probe_of sharpness
        top_subspace_share update_norm
    """,
    "problems": """
        ackley beale himmelblau linear_regression logistic_regression mlp monkey_saddle quadratic
        quadratic_2d rastrigin rosenbrock saddle styblinski_tang
    """,
    "register": """
        Entry check figure probe problem rule schedule
    """,
    "rules": """
        accumulate adabelief adadelta adafactor adagrad adam adamax adamw add_noise aggmo amsgrad armijo
        average barzilai_borwein by_path centralise chain clip_by_leaf_norm clip_by_norm clip_by_value
        conjugate_gradient ema_of_params extragradient from_optax gauss_newton gd lamb lars lbfgs
        levenberg_marquardt lion lookahead momentum momentum_ema muon nadam natural_gradient nesterov
        nesterov_1983 newton normalised_gd optimistic perturbed_gd polyak prodigy qhadam qhm radam
        reduce_on_plateau rmsprop rprop sam schedule_free_adamw schedule_free_sgd sgld shampoo sign_gd soap
        sophia svrg weight_decay yogi
    """,
    "schedules": """
        Number constant cosine cyclical exponential inverse_square_root inverse_time linear one_cycle
        polynomial range_test sgdr step warmup wsd
    """,
    "search": """
        Choice Range Ranges SearchError halving hyperband optuna_search population
    """,
    "surfaces": """
        batched block curvature_surface fitted_range line random_lines random_planes refined surface
        surfaces
    """,
}


@pytest.mark.parametrize(("module", "name"), [(m, n) for m, names in PUBLIC.items() for n in names.split()])
def test_public_name_is_kept(module, name):
    assert hasattr(gdlab if module == "gdlab" else getattr(gdlab, module), name)


def test_public_names_can_be_imported_and_are_listed():
    assert sorted(gdlab.__dir__()) == sorted([*gdlab.__all__, "__version__"])
    for name in gdlab.__all__:
        assert getattr(gdlab, name) is not None


def test_there_are_fourteen_packages_and_five_base_modules():
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert packages == set(PACKAGES.split())
    assert modules == {"atomic_file", "errors", "pytrees", "register", "types"}


def test_every_package_has_tests():
    tests = Path(__file__).parent
    for path in PACKAGE.iterdir():
        if (path / "__init__.py").exists():
            assert list((tests / path.name).rglob("test_*.py")), f"tests/{path.name} has no tests"
