"""Check a user's solver: conformance, the residual it states, its gradient, and the claims that hold for all."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from bench.config.matrix import parse_task
from bench.config.user_files import check_portable
from solvers import FixedSteps, Solver
from solvers import conformance as c

from ..claims import CLAIMS
from ..claims.c26_audit import PerturbedGradient
from ..claims.certified_runs import run_solver
from ..engine import holds
from ..instances import Case, solve_exactly
from ..instances.synthetic import affine, network, tanh
from ..operators.benchmark_operator import benchmark_case
from .outcome import CheckOutcome, Note, require, run_check
from .sample_independence import stops_each_sample_alone

EXACT = 1e-9
"""Relative error of a gradient that counts as exact."""
ABSOLUTE = 1e-12
"""Difference of two residuals that is always allowed."""

HINTS: dict[Callable[[Solver], None], str] = {
    c.keeps_shape_and_dtype: "nothing may change x0 in place (add_, mul_, +=), and nothing may change its dtype",
    c.reaches_every_parameter: (
        "the last application of T must be on the tape; look for .detach(), .data, .item() or torch.no_grad() "
        "between it and the value, or let TruncatedBackprop or ImplicitDifferentiation tape it"
    ),
    c.counts_truly: (
        "SolveReport.applications counts every call of T without a tape, also those that only measure something; "
        "Solution.taped_applications those on the tape"
    ),
    c.scales_with_the_loss: (
        "a tolerance or a constant of the backward pass is absolute: make it relative to the norm of the cotangent"
    ),
    c.treats_samples_alone: (
        "a norm, a weight or a stop is taken over the whole batch: take it for each sample, along dimension 0"
    ),
    c.takes_complex_states: (
        "a product of complex numbers is taken where that of real pairs is meant: use torch.view_as_real, or the real "
        "part of an inner product with the conjugate"
    ),
    c.shows_nan: "nan is compared, clamped or replaced: a sample that is nan must stay so, and leave the others alone",
    c.takes_an_empty_batch: "a maximum, a mean or a reshape(…, -1) of nothing: ask for the number of samples first",
    c.repeats_itself: "it draws random numbers, or keeps something from one call to the next: a solver has no state",
    c.leaves_no_tape: "a tensor with a graph is kept, in a list, a hook or the solver: detach what you store",
    c.leaks_nothing: (
        "look for torch.enable_grad() without a look at torch.is_grad_enabled(), for manual_seed, set_num_threads, "
        "set_default_dtype"
    ),
}


def check_solver(solver: Solver, within: float | None = None) -> list[CheckOutcome]:
    """Run all checks of a solver.

    Args:
        solver: any solver.
        within: largest relative error allowed for its gradient; ``None`` if it may be biased.
    """
    outcomes = [
        run_check(check.__name__, functools.partial(check, solver), hint) for check, hint in HINTS.items()
    ]
    further = {
        "agrees_with_closed_form": functools.partial(_closed_form, solver),
        "agrees_with_oracle": functools.partial(_dense_reference, solver, within),
        "deblurring(huber), 16×16": functools.partial(_deblurring, solver, within),
        "stops_each_sample_alone": functools.partial(stops_each_sample_alone, solver),
        "states_its_own_residual": functools.partial(_residual, solver),
        "stays_at_equilibrium": functools.partial(_stays, solver),
        "can_be_sent": functools.partial(check_portable, solver, "it", ()),
    }
    outcomes += [run_check(name, check) for name, check in further.items()]
    claims = (("C13", ()), ("C24", (4,)), ("C26", (0.5, 200)))
    outcomes += [
        run_check(name, functools.partial(_claim, name, solver, arguments)) for name, arguments in claims
    ]
    return outcomes


def _require_direction(estimate: Tensor, right: Tensor, reference: str) -> float:
    """The relative error of an estimate. Raises ``AssertionError`` if its direction is wrong."""
    error = c.relative_error(estimate, right)
    cosine = _cosine(estimate, right)
    if c.relative_error(-estimate, right) < 0.1:
        raise AssertionError(
            f"the gradient has the opposite sign of {reference}: look for a minus in the backward pass; the adjoint "
            "equation is u = v + J'u, not u = v − J'u"
        )
    require(
        cosine > 0,
        f"the gradient leads away from {reference} (cosine {cosine:.2f}): the result of the backward pass has "
        "little to do with T; check at which tensor each product is taken",
    )
    return error


def _cosine(estimate: Tensor, right: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(estimate, right, dim=0))


def _factor(estimate: Tensor, right: Tensor) -> float | None:
    """The factor between an estimate and the right gradient, if they differ by a factor only."""
    size = float(torch.linalg.vector_norm(estimate) / torch.linalg.vector_norm(right))
    error = c.relative_error(estimate, right)
    return size if error > EXACT and c.relative_error(estimate, size * right) <= 1e-4 * error else None


def _closed_form(solver: Solver) -> str:
    """The gradient is exact on a map that is constant in x."""
    T = c.SoftThreshold()
    estimate, _ = c.gradient_of(solver, T, torch.zeros_like(T.y), lambda x: x.sum())
    error = _require_direction(estimate, T.derivative(), "the closed form of a T that is constant in x")
    if (factor := _factor(estimate, T.derivative())) is not None:
        raise Note(
            f"where T is constant in x the gradient is {factor:.4g} times the exact one, and undamped recorded steps "
            "are exact there: right for recorded steps that are damped by design, wrong for all others"
        )
    require(
        error <= 1e-14,
        f"the gradient is {100 * error:.3g} % off where T is constant in x, and undamped recorded steps are exact "
        "there: look for a step that is damped, or is not a step of T",
    )
    return "exact where T is constant in x"


def _judge_error(error: float, cosine: float, within: float | None, where: str) -> str:
    """Put the error of a gradient into words. Raises if it is larger than allowed, or may be intended."""
    text = f"{error:.1e}" if error < 1e-4 else f"{100 * error:.3g} %"
    if within is not None:
        require(
            error <= within,
            f"its gradient differs from the exact one by {text} on {where}, more than {within:g}",
        )
        return f"within {text} of the exact gradient on {where}"
    if error <= EXACT:
        return f"exact to {text} on {where}"
    raise Note(
        f"its gradient differs from the exact one by {text} on {where} (cosine {cosine:.4f}): it is biased, or its "
        "tolerance or depth is too coarse; if it is meant to be exact, it is wrong"
    )


def _dense_reference(solver: Solver, within: float | None) -> str:
    """The gradient on a small contraction, compared with dense algebra and with gradients of common mistakes."""
    T, x0 = c.Contraction(), c.start(2, 6)
    right = c.dense_oracle(T, x0)
    estimate, _ = c.gradient_of(solver, T, x0)
    error = _require_direction(estimate, right, "the exact gradient")
    factor = _factor(estimate, right)
    if factor is not None:
        raise AssertionError(
            f"the gradient is {factor:.4g} times the exact one, in the right direction: look for a factor, such as a "
            "mean in place of a sum"
        )
    for mistake, gradient in _mistakes(T, x0).items():
        require(
            error <= EXACT or c.relative_error(estimate, gradient) > 1e-6,
            f"the gradient is that of {mistake}",
        )
    cosine = _cosine(estimate, right)
    return _judge_error(error, cosine, within, "a contraction with L = 0.63")


def _mistakes(T: c.Contraction, x0: Tensor) -> dict[str, Tensor]:
    """Gradients by wrong adjoint equations that are common mistakes."""
    x = FixedSteps(500)(T, x0).x.detach()
    n = x.numel()
    J = torch.func.jacrev(T)(x).detach().reshape(n, n)
    leaf = x.clone().requires_grad_()
    (v,) = torch.autograd.grad(c.quadratic(leaf), leaf)
    identity = torch.eye(n, dtype=x.dtype)
    matrices = {
        "u = v − J'u: the adjoint equation is u = v + J'u; look for a minus": identity + J.T,
        "u = v + J u: the adjoint equation has J', so the product must be a vector-Jacobian one": identity
        - J,
    }
    gradients: dict[str, Tensor] = {}
    for mistake, matrix in matrices.items():
        u = torch.linalg.solve(matrix, v.flatten()).view_as(x)
        grads = torch.autograd.grad(T(x), list(T.parameters()), u)
        gradients[mistake] = torch.cat([g.flatten() for g in grads])
    return gradients


@functools.cache
def _crop() -> Case:
    return benchmark_case(parse_task("deblurring(huber)"))


def _deblurring(solver: Solver, within: float | None) -> str:
    """The gradient on an operator of the benchmark."""
    case = _crop()
    right, estimate = solve_exactly(case).gradient, run_solver(solver, case).gradient
    cosine = _cosine(estimate, right)
    return _judge_error(
        c.relative_error(estimate, right), cosine, within, f"deblurring(huber), 16×16, L = {case.L:.3f}"
    )


def _residual(solver: Solver) -> str:
    """The reported residual is that of the returned point."""
    T, x0 = c.Contraction(), c.start(3, 6)
    with torch.no_grad():
        equilibrium = solver.forward_solver(T, x0)
        x = equilibrium.x
        y = T(x)
    stated = equilibrium.report.residual
    if stated != stated:
        require(
            equilibrium.report.converged is None,
            "SolveReport.converged is stated without a residual: measure ‖T(x) − x‖ / ‖T(x)‖ of the returned point",
        )
        return "none is stated"
    norm = torch.linalg.vector_norm
    true = float((norm(y - x, dim=1) / norm(y, dim=1)).max())
    require(
        abs(stated - true) <= 1e-6 * true + ABSOLUTE,
        f"SolveReport.residual is {stated:.3g}, but that of the returned point is {true:.3g}: it must be "
        "‖T(x) − x‖ / ‖T(x)‖ of the returned point, the largest over the batch",
    )
    return f"{stated:.2g}, as measured"


def _stays(solver: Solver) -> str:
    """A solver that starts at the equilibrium stays there."""
    T, x0 = c.Contraction(), c.start(2, 6)
    with torch.no_grad():
        x = x0
        for _ in range(500):
            x = T(x)
        value = solver(T, x).x.detach()
    error = c.relative_error(value, x)
    require(
        error <= 1e-10,
        f"started at the equilibrium, it leaves it by {error:.1e} of its size: the fixed point of its steps is not "
        "that of T; check the step at x = T(x)",
    )
    return "its steps have T's fixed point"


def _claim(name: str, solver: Solver, arguments: tuple[object, ...]) -> str:
    """A claim that holds for every gradient that is made of the applications on its tape."""
    worst = ""
    for case in (tanh(4, 3, 0.8, 1), affine(4, 3, 0.9, 2, True), network(3, 0.5, 3)):
        subject = PerturbedGradient(solver, 1.0, 0.0, 0) if name == "C26" else solver
        sides = CLAIMS[name].sides(case, subject, *arguments)
        require(
            holds(sides, CLAIMS[name].rounding),
            f"{CLAIMS[name].statement}, but {sides.lhs:.3g} > {sides.rhs:.3g} on {case}: the gradient is not made of "
            "the cotangents that passed through T; look for a hook, a factor or a detached part after the last "
            "application",
        )
        worst = f"holds: {sides.lhs:.2g} ≤ {sides.rhs:.2g} on {case}"
    return worst
