"""Run real solvers on cases, and certify or audit their gradients."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import (
    CG,
    GMRES,
    Anderson,
    Certificate,
    DerivativeBounds,
    FixedSteps,
    GradientMonitor,
    HasDerivativeBounds,
    LipschitzConstants,
    Loss,
    Map,
    Nesterov,
    Picard,
    SharedInverse,
    SmoothLoss,
    Solution,
    Solver,
    SupportsSelect,
    TapedApplication,
    TapeRecorder,
    audit,
    certificate,
    checkpointed,
    deq,
    implicit,
    jfb,
    last_backward_pass,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)

from ..instances import Case, jacobians, synthetic, theta_gradient, two_norm
from ..instances.batches import FLOAT32_FACTOR, batches, solver_map, solver_state


def rounding_error(case: Case, x: Tensor) -> float:
    """``‖fl(T)(x) − T(x)‖``, the rounding error of one application at ``x``.

    In float32 it is measured against float64. In float64 it is estimated from the sizes of the terms.
    """
    T, state = case.T, x.detach().flatten()
    with torch.no_grad():
        y = T(state)
        if x.dtype == torch.float64:
            sizes = (
                two_norm(state) + two_norm(y) + two_norm(T(0 * state)) + two_norm(T.theta) + two_norm(case.x0)
            )
            return 10 * torch.finfo(x.dtype).eps * sizes
        high = copy.deepcopy(T).double()(state.double())
    return two_norm(y.double() - high) * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class MapWithKnownBounds:
    """The map of a case, with bounds on its derivatives, which make certificates rigorous."""

    case: Case

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map once, to a state as solvers see it."""
        return solver_map(self.case)(x)

    def regularity(self) -> DerivativeBounds | None:
        """The bounds that the map states itself, as operators of the benchmark do; else the constants of the case."""
        case = self.case
        if isinstance(case.T, HasDerivativeBounds):
            return case.T.regularity()
        if not (math.isfinite(case.M_J) and math.isfinite(case.M_B)):
            return None
        factor = FLOAT32_FACTOR if case.x0.dtype == torch.float32 else 1.0
        return LipschitzConstants(
            case.L,
            case.M_J,
            case.M_B,
            lambda x: factor * two_norm(jacobians(case, x.flatten())[1]),
            parameters=[case.T.theta],
            rounding=partial(rounding_error, case),
        )


@dataclass(frozen=True, slots=True)
class BatchWithKnownBounds(MapWithKnownBounds):
    """The map of a batch from which samples can be left out."""

    def select(self, index: Tensor) -> Map:
        """The map on the samples at ``index``."""
        T = solver_map(self.case)
        assert isinstance(T, SupportsSelect), "the map of the case does not separate its samples"
        return T.select(index)


def with_known_bounds(case: Case) -> MapWithKnownBounds:
    """The map of a case with bounds on its derivatives. Solvers can leave out samples of a batch if the map can."""
    return (
        BatchWithKnownBounds(case)
        if isinstance(solver_map(case), SupportsSelect)
        else MapWithKnownBounds(case)
    )


def smooth_loss(case: Case) -> SmoothLoss:
    """The loss of a case, with its exact constants ``Λ = q`` and ``H = ‖M‖``."""
    return SmoothLoss(
        lambda x: case.loss(x.flatten(), case.T.theta), case.loss.q, two_norm(case.loss.M), [case.T.theta]
    )


@dataclass(frozen=True, slots=True)
class SolverRun:
    """A run of a solver on a case, after its backward pass.

    Attributes:
        gradient: the gradient in theta, of shape ``(p,)``.
        taped: the applications on the tape.
        y: the value that the solver returned; ``v`` the cotangent of the loss at y.
        solution: the counts and residuals that the solver reports.
    """

    gradient: Tensor
    taped: Sequence[TapedApplication]
    y: Tensor
    v: Tensor
    solution: Solution


def run_solver(solver: Solver, case: Case) -> SolverRun:
    """Run a solver on a case, forward and backward, with ``TapeRecorder`` recording the tape."""
    recorder = TapeRecorder(solver_map(case))
    solution = solver(recorder, solver_state(case, case.x0))
    cotangents: list[Tensor] = []
    solution.x.register_hook(cotangents.append)
    gradient = theta_gradient(case, case.loss(solution.x.flatten(), case.T.theta))
    return SolverRun(
        gradient, last_backward_pass(recorder.taped), solution.x.detach(), cotangents[0], solution
    )


def monitored_step(
    case: Case, solver: Solver, T: Map, loss: Loss, c: float = 1.0
) -> tuple[Certificate, Tensor]:
    """The certificate that a monitor logs for one step with the loss times c, and the gradient of that step."""
    certificates: list[Certificate] = []
    monitor = GradientMonitor(solver, lambda _, certificate: certificates.append(certificate), every=1)
    gradient = theta_gradient(case, c * loss(monitor(T, solver_state(case, case.x0), loss).x))
    return certificates[0], gradient


def certificate_of_run(case: Case, run: SolverRun) -> Certificate:
    """The library's certificate of the gradient of a run, from the constants of the case and the tape of the run."""
    regularity = with_known_bounds(case).regularity()
    assert regularity is not None, f"{case} has no bounds on its derivatives"
    loss = smooth_loss(case)
    return certificate(
        run.taped, run.y, run.v, regularity, loss.smoothness, loss.direct, two_norm(run.gradient)
    )


def audit_gradient(
    case: Case, x: Tensor, gradient: Tensor, sharp: float = 0.5, budget: int = 2000
) -> Certificate:
    """The library's audit of a gradient.

    Args:
        case: any case.
        x: state at which the gradient was taken; all that the audit knows of its origin.
        gradient: the vector to audit, of shape ``(p,)``.
        sharp: ratio of error to distance at which the audit stops.
        budget: largest number of applications and products.
    """
    return audit(with_known_bounds(case), x, smooth_loss(case), [case.T.theta], [gradient], sharp, budget)


def look_ahead(case: Case, run: SolverRun, m: int) -> tuple[Tensor, SolverRun]:
    """Correct a gradient by m further adjoint terms at the value that the solver returned (bound B2 of PROOFS).

    One more application is taped at y, and its backward pass gets ``δ = Σ_{i<m} a_i``, where ``a_0`` is the residual of
    the adjoint equation and ``a_{i+1} = J(y)ᵀa_i``.

    Returns:
        The correction ``B(y)ᵀδ``, and the run with the corrected gradient.
    """
    theta, x = case.T.theta, run.y.clone().requires_grad_()
    y = solver_map(case)(x)
    a = run.v.clone()
    for application in run.taped:
        assert application.u is not None, "no cotangent has passed"
        assert application.a is not None, "no cotangent has passed"
        a = a + application.a - application.u
    delta = torch.zeros_like(a)
    for _ in range(m):
        delta = delta + a
        (a,) = torch.autograd.grad(y, x, a, retain_graph=True)
    product, correction = torch.autograd.grad(y, [x, theta], delta)
    latest = max(application.run for application in run.taped)
    taped = [
        *run.taped,
        TapedApplication(x.detach(), y.detach(), delta, product, latest, leaves=run.taped[-1].leaves),
    ]
    return correction, SolverRun(run.gradient + correction, taped, run.y, run.v, run.solution)


certifiable = st.one_of(synthetic.certifiable, batches)
"""Cases for certificates. To a certificate, a batch is one long vector."""
depths, steps, tolerances = st.integers(1, 12), st.integers(0, 30), st.sampled_from((0.3, 1e-2, 1e-4, 1e-8))
forward_solvers = st.one_of(
    st.builds(Anderson, tolerances), st.builds(Nesterov, tolerances), st.builds(Picard, tolerances)
)
adjoints = st.one_of(
    st.builds(FixedSteps, st.integers(0, 12)),
    st.builds(Picard, tolerances),
    st.builds(Anderson, tolerances),
    st.builds(Nesterov, tolerances),
    st.builds(GMRES, tolerances),
    # If J is not symmetric CG stops early, and the certificate bounds the rest.
    st.builds(CG, tolerances),
)
shines = st.builds(
    implicit,
    st.builds(Anderson, tolerances, st.just(200), st.integers(2, 4), shared=st.just(True)),
    st.builds(SharedInverse, st.integers(0, 3)),
)
estimators = st.one_of(
    st.builds(restarted_jfb, depths, st.integers(0, 5)),
    st.builds(neumann, steps, depths),
    st.builds(phantom, steps, depths, st.sampled_from((0.3, 0.7, 1.0))),
    st.builds(deq, tolerances),
    st.builds(implicit, st.one_of(st.builds(FixedSteps, steps), forward_solvers), adjoints),
    shines,
    st.builds(checkpointed, depths, st.integers(0, 4)),
    st.builds(jfb, steps),
    st.builds(unrolled, st.integers(1, 40)),
)
"""Every estimator of the library, at depths and tolerances from coarse to fine."""
