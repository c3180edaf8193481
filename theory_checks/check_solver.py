"""Checks of a solver of a user's own: conformance, honesty, and the claims that hold for every gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from bench.matrix import parse_task
from bench.own import check_portable
from solvers import Iterate, Solver
from solvers import conformance as c

from .cases import Case, affine, network, tanh
from .certificates import run
from .check_batch import stops_alone
from .claims import ROSTER
from .claims.c26_audit import Offered
from .exact import exact
from .found import Found, Remark, demand, found
from .real import real
from .verify import holds

EXACT = 1e-9
"""Relative error of a gradient that is as good as exact."""
CLOSE = 1e-12

HINTS: dict[Callable[[Solver], None], str] = {
    c.keeps_shape_and_dtype: "nothing may change x0 in place (add_, mul_, +=), and nothing may change its dtype",
    c.reaches_every_parameter: (
        "the last application of T must be on the tape; look for .detach(), .data, .item() or torch.no_grad() "
        "between it and the value, or let Tracked or Implicit tape it"
    ),
    c.counts_truly: (
        "Report.applications counts every call of T without a tape, those that only measure something too; "
        "Solution.recorded those on the tape"
    ),
    c.scales_with_the_loss: (
        "something on the way back is absolute, a tolerance or a constant: make it relative to the cotangent's norm"
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
        "look for torch.enable_grad() where torch.is_grad_enabled() was not asked, manual_seed, set_num_threads, "
        "set_default_dtype"
    ),
}


def solver_findings(solver: Solver, within: float | None = None) -> list[Found]:
    """All checks of a solver.

    Args:
        solver: any.
        within: the relative error of the gradient that it is meant to keep; ``None`` where a bias is meant.
    """
    checks = [found(check.__name__, functools.partial(check, solver), hint) for check, hint in HINTS.items()]
    further = {
        "agrees_with_closed_form": functools.partial(_closed_form, solver),
        "agrees_with_oracle": functools.partial(_oracle, solver, within),
        "deblurring(huber), 16×16": functools.partial(_deblurring, solver, within),
        "stops_each_sample_alone": functools.partial(stops_alone, solver),
        "states_its_own_residual": functools.partial(_residual, solver),
        "stays_at_equilibrium": functools.partial(_stays, solver),
        "can_be_sent": functools.partial(check_portable, solver, "it", ()),
    }
    checks += [found(name, check) for name, check in further.items()]
    claims = (("C13", ()), ("C24", (4,)), ("C26", (0.5, 200)))
    return checks + [found(name, functools.partial(_claim, name, solver, given)) for name, given in claims]


def _compared(estimate: Tensor, right: Tensor, what: str) -> float:
    """The relative error. Raises ``AssertionError`` for a gradient that leads away."""
    error = c.relative_error(estimate, right)
    cosine = float(torch.nn.functional.cosine_similarity(estimate, right, dim=0))
    if c.relative_error(-estimate, right) < 0.1:
        raise AssertionError(
            f"the gradient has the opposite sign of {what}: look for a minus on the way back; the adjoint equation is "
            "u = v + J'u, not u = v − J'u"
        )
    demand(
        cosine > 0,
        f"the gradient leads away from {what} (cosine {cosine:.2f}): what comes out of the backward pass has little to "
        "do with T; check which tensor each product is taken at",
    )
    return error


def _factor(estimate: Tensor, right: Tensor) -> float | None:
    """By what an estimate differs from the right one, where it differs by nothing else."""
    size = float(torch.linalg.vector_norm(estimate) / torch.linalg.vector_norm(right))
    error = c.relative_error(estimate, right)
    return size if error > EXACT and c.relative_error(estimate, size * right) <= 1e-4 * error else None


def _closed_form(solver: Solver) -> str:
    T = c.SoftThreshold()
    estimate, _ = c.gradient(solver, T, torch.zeros_like(T.y), lambda x: x.sum())
    error = _compared(estimate, T.derivative(), "the closed form of a T that is constant in x")
    if (factor := _factor(estimate, T.derivative())) is not None:
        raise Remark(
            f"where T is constant in x the gradient is {factor:.4g} times the exact one, and that of whole recorded "
            "steps is exact: right for recorded steps that are damped by design, wrong for all others"
        )
    demand(
        error <= 1e-14,
        f"the gradient is {100 * error:.3g} % off where T is constant in x, and every estimator of whole recorded "
        "steps is exact: look for a step that is not T's, or is damped",
    )
    return "exact where T is constant in x"


def _verdict(error: float, cosine: float, within: float | None, where: str) -> str:
    text = f"{error:.1e}" if error < 1e-4 else f"{100 * error:.3g} %"
    if within is not None:
        demand(
            error <= within,
            f"its gradient differs from the exact one by {text} on {where}, more than {within:g}",
        )
        return f"within {text} of the exact gradient on {where}"
    if error <= EXACT:
        return f"exact to {text} on {where}"
    raise Remark(
        f"its gradient differs from the exact one by {text} on {where} (cosine {cosine:.4f}): it is biased, or its "
        "tolerance or depth leaves that; if it is meant to be exact, it is wrong"
    )


def _oracle(solver: Solver, within: float | None) -> str:
    T, x0 = c.Contraction(), c.start(2, 6)
    right = c.dense_oracle(T, x0)
    estimate, _ = c.gradient(solver, T, x0)
    error = _compared(estimate, right, "the exact gradient")
    factor = _factor(estimate, right)
    if factor is not None:
        raise AssertionError(
            f"the gradient is {factor:.4g} times the exact one, in the right direction: look for a factor, such as a "
            "mean in place of a sum"
        )
    for mistake, gradient in _mistakes(T, x0).items():
        demand(
            error <= EXACT or c.relative_error(estimate, gradient) > 1e-6,
            f"the gradient is that of {mistake}",
        )
    cosine = float(torch.nn.functional.cosine_similarity(estimate, right, dim=0))
    return _verdict(error, cosine, within, "a contraction with L = 0.63")


def _mistakes(T: c.Contraction, x0: Tensor) -> dict[str, Tensor]:
    """Gradients of adjoint equations that are easily written in place of the right one."""
    x = Iterate(500)(T, x0).x.detach()
    n = x.numel()
    J = torch.func.jacrev(T)(x).detach().reshape(n, n)
    leaf = x.clone().requires_grad_()
    (v,) = torch.autograd.grad(c.quadratic(leaf), leaf)
    identity = torch.eye(n, dtype=x.dtype)
    wrong = {
        "u = v − J'u: the adjoint equation is u = v + J'u; look for a minus": identity + J.T,
        "u = v + J u: the adjoint equation has J', so the product must be a vector-Jacobian one": identity
        - J,
    }
    found: dict[str, Tensor] = {}
    for mistake, matrix in wrong.items():
        u = torch.linalg.solve(matrix, v.flatten()).view_as(x)
        grads = torch.autograd.grad(T(x), list(T.parameters()), u)
        found[mistake] = torch.cat([g.flatten() for g in grads])
    return found


@functools.cache
def _crop() -> Case:
    return real(parse_task("deblurring(huber)"))


def _deblurring(solver: Solver, within: float | None) -> str:
    case = _crop()
    right, estimate = exact(case).gradient, run(solver, case).gradient
    cosine = float(torch.nn.functional.cosine_similarity(estimate, right, dim=0))
    return _verdict(
        c.relative_error(estimate, right), cosine, within, f"deblurring(huber), 16×16, L = {case.L:.3f}"
    )


def _residual(solver: Solver) -> str:
    """A residual that is stated is that of the point that is returned."""
    T, x0 = c.Contraction(), c.start(3, 6)
    with torch.no_grad():
        at = solver.reach(T, x0)
        y = T(at.x)
    stated = at.report.residual
    if stated != stated:
        demand(
            at.report.converged is None,
            "Report.converged is stated without a residual: measure ‖T(x) − x‖ / ‖T(x)‖ of the point that is returned",
        )
        return "none is stated"
    norm = torch.linalg.vector_norm
    true = float((norm(y - at.x, dim=1) / norm(y, dim=1)).max())
    demand(
        abs(stated - true) <= 1e-6 * true + CLOSE,
        f"Report.residual is {stated:.3g}, but the point that is returned has {true:.3g}: it must be "
        "‖T(x) − x‖ / ‖T(x)‖ of that very point, the largest over the batch",
    )
    return f"{stated:.2g}, as measured"


def _stays(solver: Solver) -> str:
    """Started at the equilibrium, a reach stays there."""
    T, x0 = c.Contraction(), c.start(2, 6)
    with torch.no_grad():
        x = x0
        for _ in range(500):
            x = T(x)
        value = solver(T, x).x.detach()
    error = c.relative_error(value, x)
    demand(
        error <= 1e-10,
        f"started at the equilibrium, it leaves it by {error:.1e} of its size: the fixed point of its steps is not "
        "that of T; check the step at x = T(x)",
    )
    return "its steps have T's fixed point"


def _claim(name: str, solver: Solver, given: tuple[object, ...]) -> str:
    """A claim that holds for every gradient made of the applications on its tape."""
    worst = ""
    for case in (tanh(4, 3, 0.8, 1), affine(4, 3, 0.9, 2, True), network(3, 0.5, 3)):
        first = (Offered(solver, 1.0, 0.0, 0), *given) if name == "C26" else (solver, *given)
        sides = ROSTER[name].sides(case, *first)
        demand(
            holds(sides, ROSTER[name].rounding),
            f"{ROSTER[name].statement}, but {sides.lhs:.3g} > {sides.rhs:.3g} on {case}: the gradient is not made of "
            "the cotangents that went through T; look for a hook, a factor or a detached part behind the last "
            "application",
        )
        worst = f"holds: {sides.lhs:.2g} ≤ {sides.rhs:.2g} on {case}"
    return worst
