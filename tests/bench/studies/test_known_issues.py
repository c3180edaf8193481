"""Errors that were found in other libraries, each held against our own code; docs/peers.md has the measurements.

Of the known issues, these are tested elsewhere: no tape outlives its use (``solvers.conformance.leaves_no_tape``), T is
taped as often as reported (``counts_truly``), the gradient of the step is 0 at equilibrium (``test_tasks``), the
transform is orthonormal (``test_operators``), and the noise level is float64 (``test_denoisers``).
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import pywt
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.config.matrix import load_profile, parse_solver, parse_task
from bench.external import torchdeq_ift
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.training import parameters
from bench.operators import ForwardBackward
from bench.penalties import Wavelets, WeightedPenalty
from bench.studies.external import issues_deepinv, issues_table, issues_torchdeq
from bench.studies.external.issues_table import FURTHER_ISSUES, KNOWN_ISSUES, markdown
from bench.tasks import build_problem
from bench.tasks.deblurring import MotionBlur, circular_blur
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import ESTIMATORS, Anderson, ImplicitDifferentiation, Picard, Solver, deq, jfb, unrolled
from solvers.conformance import CHECKS, Contraction, leaves_no_tape, relative_error, start
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64

SOLVERS = {name: e.example for name, e in ESTIMATORS.items()} | {
    "deq(0.001)": deq(1e-3),
    "deq(1e-06)": deq(1e-6),
    "picard": Solver("picard", Picard(1e-3, 500), ImplicitDifferentiation(Picard(1e-3, 500))),
}


@pytest.fixture(scope="module")
def problem():
    return small_problem()


@pytest.fixture(scope="module")
def settled(problem):
    """The equilibrium."""
    with torch.no_grad():
        return Anderson(1e-12, 2000)(problem.bind(problem.train), problem.start(problem.train)).x


@pytest.fixture(scope="module")
def exact(problem):
    batch = problem.train
    return reference_gradient(
        problem.bind(batch), parameters(problem), problem.start(batch), lambda x: problem.loss(x, batch)
    ).gradient


def gradient(solver, found, scale=1.0, x0=None):
    found.operator.zero_grad(set_to_none=True)
    solution = solver(found.bind(found.train), found.start(found.train) if x0 is None else x0)
    (scale * found.loss(solution.x, found.train)).backward()
    return torch.cat([p.grad.flatten() for p in parameters(found)]) / scale


@pytest.mark.filterwarnings("ignore::solvers.StagnationWarning")  # 1e-10 is asked for, whatever can be had
@pytest.mark.parametrize("name", SOLVERS)
def test_the_size_of_the_loss_does_not_matter(problem, name):
    """torchdeq: 93 % wrong with the loss times 1e-4. A stop or a regularisation that is absolute would show."""
    plain = gradient(SOLVERS[name], problem)
    for scale in (1e-4, 1e5):
        assert relative_error(gradient(SOLVERS[name], problem, scale), plain) < 1e-5, scale


def test_the_size_of_the_loss_matters_to_torchdeq(problem):
    """The check above can fail."""
    one = torchdeq_ift(100, 100, tol=0)
    assert relative_error(gradient(one, problem, 1e-4), gradient(one, problem)) > 0.1


@pytest.mark.parametrize(
    "name", [name for name in SOLVERS if not getattr(ESTIMATORS.get(name), "damped", False)]
)
def test_where_t_is_constant_the_adjoint_solution_is_the_right_hand_side(name):
    """hypertorch's CG returns 0 there. T(x) = p, so the gradient is that of the loss itself."""
    p = torch.linspace(-1, 1, 6, dtype=F64).requires_grad_()
    solution = SOLVERS[name](lambda x: p.expand_as(x) + 0 * x, start(2, 6))
    solution.x.pow(3).sum().backward()
    torch.testing.assert_close(p.grad, 6 * p.detach().square(), rtol=1e-12, atol=1e-12)


def direct(kernel, x):
    """Circular convolution by shifts, the centre of the kernel at its middle."""
    h, w = kernel.shape
    shifted = (kernel[i, j] * x.roll((i - h // 2, j - w // 2), (-2, -1)) for i in range(h) for j in range(w))
    return torch.stack(list(shifted)).sum(0)


@pytest.mark.parametrize("size", [(4, 4), (4, 6), (5, 4), (3, 3)])
@pytest.mark.parametrize(("dtype", "rounding"), [(F64, 1e-14), (torch.float32, 1e-5)])
def test_a_blur_is_its_convolution_for_even_and_asymmetric_kernels(size, dtype, rounding):
    """deepinv's ``BlurFFT(...).to(torch.float64)`` is 6 % to 10 % off for these, and ``.double()`` single."""
    kernel = torch.rand(size, dtype=F64)
    kernel /= kernel.sum()
    physics = circular_blur(kernel[None, None], (1, 32, 32), dtype, torch.device("cpu"))
    x, y = torch.rand(2, 1, 1, 32, 32, dtype=F64)
    image = physics.A(x.to(dtype)).to(F64)
    assert relative_error(image, direct(kernel, x)) < rounding
    pulled = physics.A_adjoint(y.to(dtype)).to(F64)
    assert math.isclose(
        float((direct(kernel, x) * y).sum()), float((x * pulled).sum()), rel_tol=10 * rounding
    )


@pytest.mark.parametrize("size", [(4, 4), (5, 4)])
def test_a_step_descends_the_convolution_for_even_and_asymmetric_kernels(size):
    """The whole of T, whatever shortcut it takes: ``prox(x − τ Aᵀ(Ax − y))`` with A by shifts."""
    kernel = torch.rand(size, dtype=F64)
    kernel /= kernel.sum()
    physics = circular_blur(kernel[None, None], (1, 32, 32), F64, torch.device("cpu"))
    operator = parse_task("deblurring(huber)").prior.operator((1, 32, 32), 0.7, F64, "cpu")
    assert isinstance(operator, ForwardBackward)
    x, y = torch.rand(2, 1, 1, 32, 32, dtype=F64)
    z = x.clone().requires_grad_()
    (descent,) = torch.autograd.grad(0.5 * (direct(kernel, z) - y).square().sum(), z)
    with torch.no_grad():
        wanted = operator.prior.prox(x - 0.7 * descent, torch.tensor(0.7, dtype=F64))
        assert relative_error(operator.bind(y, physics)(x), wanted) < 1e-13


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("orientation", [0, 1, 2])
def test_a_weight_acts_on_the_band_it_names_with_all_of_its_size(level, orientation):
    """deepinv rotates levels, and ``PGD`` with ``WaveletPrior`` applies a tenth of λ. PyWavelets' own transform."""
    weights = torch.full((1, 3, 3), 1e-12, dtype=F64)
    weights[0, level, orientation] = 0.3
    penalty = WeightedPenalty(Wavelets((32, 32), "haar", 3, dtype=F64), weights, 0.0, 0.0)
    x, step = torch.randn(1, 1, 32, 32, dtype=F64), 0.8
    with torch.no_grad():
        out = penalty.prox(x, torch.tensor(step, dtype=F64))[0, 0]
    before, after = (
        pywt.wavedec2(image.numpy(), "haar", mode="periodization", level=3) for image in (x[0, 0], out)
    )
    assert abs(before[0] - after[0]).max() < 1e-11
    for j in range(3):  # PyWavelets has the coarsest level first
        for o, (old, new) in enumerate(zip(before[3 - j], after[3 - j], strict=True)):
            threshold = 0.3 * step if (j, o) == (level, orientation) else 0.0
            assert abs(pywt.threshold(old, threshold, "soft") - new).max() < 1e-11, (j, o)


class Dtypes(TorchDispatchMode):
    """Collects the dtypes of all floating arrays that operations make."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        leaves = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        # Those of no dimension decide no dtype; deepinv's denoising has a float32 1 for its singular value.
        self.found |= {t.dtype for t in leaves if t.ndim and (t.is_floating_point() or t.is_complex())}
        return out


@pytest.mark.parametrize(
    "text",
    [
        "deblurring(huber)",
        "inpainting(l1)",
        "denoising_colour(orientations_colours(0.01))",
        "denoising(union)",
        "denoising(dncnn)",
    ],
)
def test_nothing_is_single_in_a_double_problem(text):
    """deepinv: float32 parameters, float32 noise levels, and a phase that becomes real or stays complex64."""
    found = build_problem(
        parse_task(text), find_images(colour="colour" in text), Layout(32, 1, 1), 0, dtype=F64
    )
    kept = [*found.operator.parameters(), *found.operator.buffers()]
    assert {t.dtype for t in kept if t.is_floating_point() or t.is_complex()} <= {F64, torch.complex128}
    with Dtypes() as seen:
        solution = jfb(2)(found.bind(found.train), found.start(found.train))
        found.loss(solution.x, found.train).backward()
    assert F64 in seen.found
    assert seen.found <= {F64, torch.complex128}


@pytest.mark.parametrize(
    "name", [n for n, s in SOLVERS.items() if isinstance(s.backward_mode, ImplicitDifferentiation)]
)
def test_a_second_derivative_of_an_implicit_gradient_is_refused(name):
    """deepinv and torchdeq give one that is wrong; so would autograd's ``once_differentiable`` here, in silence."""
    T = Contraction()
    x = SOLVERS[name](T, start(2, 6)).x
    with pytest.raises(RuntimeError):
        torch.autograd.grad(torch.autograd.grad(x.pow(3).sum(), T.theta, create_graph=True)[0].sum(), T.theta)


def test_a_second_derivative_of_an_unrolled_network_is_right():
    T = Contraction()

    def first(create_graph=False):
        x = unrolled(4)(T, start(2, 6)).x
        return torch.autograd.grad(x.pow(3).sum(), T.theta, create_graph=create_graph)[0]

    (twice,) = torch.autograd.grad(first(create_graph=True).sum(), T.theta)
    h, columns = 1e-5, []
    for shift in (h, -h):
        with torch.no_grad():
            T.theta.add_(shift)
        columns.append(first())
        with torch.no_grad():
            T.theta.sub_(shift)
    assert relative_error(twice, (columns[0] - columns[1]) / (2 * h)) < 1e-8


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_misspelt_argument_is_refused(name):
    """torchdeq takes it and runs with its default."""
    with pytest.raises(TypeError):
        ESTIMATORS[name].make(tolerence=1e-3)
    with pytest.raises(UserError, match="tolerence"):
        parse_solver(f"{name}(tolerence=0.001)")


def test_a_misspelt_key_of_a_profile_is_refused(tmp_path):
    file = tmp_path / "mine.toml"
    text = (Path(__file__).parents[3] / "bench" / "config" / "profiles" / "smoke.toml").read_text()
    file.write_text(text.replace("threads =", "treads ="))
    with pytest.raises(UserError, match="unknown key 'treads'"):
        load_profile(str(file))


def test_the_adjoint_solve_does_not_stop_when_the_forward_one_does(problem, settled, exact):
    """deepinv's backward iteration stops by the forward threshold."""
    solver = Solver("", Picard(1e-2, 10), ImplicitDifferentiation(Anderson(1e-8, 500)))
    assert solver(problem.bind(problem.train), settled).forward.applications <= 2
    assert relative_error(gradient(solver, problem, x0=settled), exact) < 1e-5


def test_jacobian_free_is_wrong_at_the_equilibrium_itself_and_residuals_do_not_say_so(
    problem, settled, exact
):
    """Intrinsic, and why a table needs the error beside the residual."""
    assert relative_error(gradient(jfb(1), problem, x0=settled), exact) > 0.5
    loose = Solver("", Picard(1e-4, 500), ImplicitDifferentiation(Anderson(1e-10, 500)))
    assert relative_error(gradient(loose, problem), exact) > 10 * 1e-4, "the residual would do"


def test_tapes_are_watched_by_the_conformance_suite():
    assert leaves_no_tape in CHECKS


def test_motion_blur_of_even_length_is_a_convolution():
    blur = MotionBlur(8)((3, 32, 32), torch.Generator(), F64, torch.device("cpu"))
    x = torch.rand(1, 3, 32, 32, dtype=F64)
    kernel = torch.zeros(8, 8, dtype=F64)
    kernel[4] = 1 / 8
    assert relative_error(blur.A(x)[:, :1], direct(kernel, x[:, :1])) < 1e-13


@pytest.mark.parametrize(
    ("issue", "measured"),
    [
        (issues_torchdeq.hook_overrules, "21 VJPs"),
        (issues_torchdeq.misspelt, "nothing raised, 41 applications"),
        (issues_torchdeq.kept_tape, "5 of 5"),
        (issues_torchdeq.torchdeq_tapes_twice, "1"),
        (issues_torchdeq.one_more, "11"),
        (issues_torchdeq.torchdeq_second_derivative, "4.5; 4.5"),
        (issues_deepinv.deepinv_tapes_twice, "2"),
        (issues_deepinv.deepinv_second_derivative, "2.625"),
        (issues_deepinv.float32_parameters, "float32, 1.5e-09"),
        (issues_deepinv.cost_criterion, "KeyError: 'cost'"),
        (issues_deepinv.unused_cost, "10"),
        (issues_deepinv.tenth_of_lambda, "0.05"),
        (issues_deepinv.rotated_levels, "2, 3, 4, 1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_known_issue_is_still_there_as_documented(issue, measured):
    """Where one of these turns red, a library has mended it: measure again and say so in docs/peers.md."""
    row = issue()
    assert row.measured == measured
    (line,) = markdown([row]).splitlines()[2:]
    documented = (Path(__file__).parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
    assert line in documented


def test_every_known_issue_is_documented():
    documented = (Path(__file__).parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
    rows = [
        line for line in documented.splitlines() if line.startswith(("| torchdeq", "| deepinv", "| ptwt"))
    ]
    assert len(rows) == len(KNOWN_ISSUES)


DISTRIBUTIONS = {"torchopt": "torchopt", "silva_networks": "silva-networks"}
"""Names on PyPI of the modules in ``FURTHER_ISSUES``."""


@pytest.mark.parametrize("module", FURTHER_ISSUES)
def test_every_issue_of_a_further_library_is_documented(module):
    documented = (Path(__file__).parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
    rows = [line for line in documented.splitlines() if line.startswith(f"| {DISTRIBUTIONS[module]} ")]
    assert len(rows) == len(FURTHER_ISSUES[module]) > 0


@pytest.mark.parametrize("module", FURTHER_ISSUES)
def test_issues_of_a_further_library_are_measured_where_it_is_installed(module, monkeypatch):
    monkeypatch.setattr(issues_table, "KNOWN_ISSUES", ())
    monkeypatch.setattr(issues_table, "find_spec", lambda name: name == module)
    monkeypatch.setitem(FURTHER_ISSUES, module, [lambda: module])
    assert issues_table.measure_issues() == [module]


@pytest.mark.parametrize("module", FURTHER_ISSUES)
def test_a_known_issue_of_a_further_library_is_still_there_as_documented(module):
    pytest.importorskip(module, reason="no environment of the project holds it: see docs/peers.md")
    documented = (Path(__file__).parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
    for issue in FURTHER_ISSUES[module]:
        (line,) = markdown([issue()]).splitlines()[2:]
        assert line in documented
