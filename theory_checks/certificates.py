"""What the library says of its own gradients on a case, and how a claim of several inequalities becomes one."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import (
    CG,
    GMRES,
    Anderson,
    Certificate,
    Divisible,
    Iterate,
    Lipschitz,
    Map,
    Nesterov,
    Picard,
    Regular,
    Regularity,
    Shared,
    SmoothLoss,
    Solution,
    Solver,
    Taped,
    Watch,
    audit,
    certificate,
    checkpointed,
    deq,
    implicit,
    jfb,
    last_pass,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)

from . import cases
from .batches import SINGLE, batches, given, shaped
from .cases import Case
from .claim import Sides
from .exact import jacobians, norm
from .verify import holds, ratio

ROUNDING = 1e-11
"""The default of ``Claim.rounding``."""


def rounding(case: Case, x: Tensor) -> float:
    """``‖fl(T)(x) − T(x)‖``: against float64 in float32; in float64 what products of this size may round off."""
    T, state = case.T, x.detach().flatten()
    with torch.no_grad():
        y = T(state)
        if x.dtype == torch.float64:
            parts = norm(state) + norm(y) + norm(T(0 * state)) + norm(T.theta) + norm(case.x0)
            return 10 * torch.finfo(x.dtype).eps * parts
        high = copy.deepcopy(T).double()(state.double())
    return norm(y.double() - high) * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class Known:
    """The map of a case, which knows its own regularity: what makes a certificate rigorous."""

    case: Case

    def __call__(self, x: Tensor) -> Tensor:
        """One application."""
        return given(self.case)(x)

    def regularity(self) -> Regularity | None:
        """That of the map where it has one, as the benchmark's operators do; else the case's exact constants."""
        case = self.case
        if isinstance(case.T, Regular):
            return case.T.regularity()
        if not (math.isfinite(case.M_J) and math.isfinite(case.M_B)):
            return None
        more = SINGLE if case.x0.dtype == torch.float32 else 1.0
        return Lipschitz(
            case.L,
            case.M_J,
            case.M_B,
            lambda x: more * norm(jacobians(case, x.flatten())[1]),
            parameters=[case.T.theta],
            rounding=partial(rounding, case),
        )


@dataclass(frozen=True, slots=True)
class KnownBatch(Known):
    """That of a batch whose samples can be left out."""

    def pick(self, index: Tensor) -> Map:
        """The map of some samples alone."""
        T = given(self.case)
        assert isinstance(T, Divisible), "the samples of this map are not known apart"
        return T.pick(index)


def known(case: Case) -> Known:
    """The map of a case with its constants, divisible where a batch is."""
    return KnownBatch(case) if isinstance(given(case), Divisible) else Known(case)


def criterion(case: Case) -> SmoothLoss:
    """The loss of a case with its exact constants ``Λ = q`` and ``H = ‖M‖``."""
    return SmoothLoss(
        lambda x: case.loss(x.flatten(), case.T.theta), case.loss.q, norm(case.loss.M), [case.T.theta]
    )


@dataclass(frozen=True, slots=True)
class Run:
    """What a solver left behind on a case.

    Attributes:
        gradient: ``g``, what it returned for theta.
        taped: the applications on its tape.
        y: the value that it returned; ``v`` the cotangent there.
        solution: its account of itself.
    """

    gradient: Tensor
    taped: Sequence[Taped]
    y: Tensor
    v: Tensor
    solution: Solution


def run(solver: Solver, case: Case) -> Run:
    """Use the real solver as a user would, with ``Watch`` in place of the map."""
    case.T.zero_grad()
    watch = Watch(given(case))
    solution = solver(watch, shaped(case, case.x0))
    cotangents: list[Tensor] = []
    solution.x.register_hook(cotangents.append)
    case.loss(solution.x.flatten(), case.T.theta).backward()
    assert case.T.theta.grad is not None, "no gradient reached theta"
    return Run(
        case.T.theta.grad.clone(), last_pass(watch.taped), solution.x.detach(), cotangents[0], solution
    )


def certify(case: Case, found: Run) -> Certificate:
    """The library's certificate of a run, from L, M_J, M_B, Λ, H and the run alone."""
    regularity = known(case).regularity()
    assert regularity is not None, f"{case}: nothing is known of its derivatives"
    loss = criterion(case)
    return certificate(
        found.taped, found.y, found.v, regularity, loss.smoothness, loss.direct, norm(found.gradient)
    )


def audited(case: Case, x: Tensor, gradient: Tensor, sharp: float = 0.5, budget: int = 2000) -> Certificate:
    """The library's audit of any gradient, of which it is told the point ``x`` alone."""
    return audit(known(case), x, criterion(case), [case.T.theta], [gradient], sharp, budget)


def look_ahead(case: Case, found: Run, m: int) -> tuple[Tensor, Run]:
    """What m further terms at the point that was returned add, and the run with them (bound B2 of PROOFS).

    One more application is taped at ``y``, and pulled once with ``δ = Σ_{i<m} a_i``: ``a_0`` is what is left of
    the adjoint equation, and ``a_{i+1} = J(y)ᵀa_i``.

    Returns:
        The correction ``B(y)ᵀδ``, and the run whose gradient is corrected.
    """
    theta, x = case.T.theta, found.y.clone().requires_grad_()
    y = given(case)(x)
    a = found.v.clone()
    for kept in found.taped:
        assert kept.u is not None, "no cotangent has passed"
        assert kept.a is not None, "no cotangent has passed"
        a = a + kept.a - kept.u
    delta = torch.zeros_like(a)
    for _ in range(m):
        delta = delta + a
        (a,) = torch.autograd.grad(y, x, a, retain_graph=True)
    pulled, correction = torch.autograd.grad(y, [x, theta], delta)
    latest = max(kept.run for kept in found.taped)
    taped = [
        *found.taped,
        Taped(x.detach(), y.detach(), delta, pulled, latest, leaves=found.taped[-1].leaves),
    ]
    return correction, Run(found.gradient + correction, taped, found.y, found.v, found.solution)


certifiable = st.one_of(cases.certifiable, batches)
"""What is certified: batches too, which are one long vector to a certificate."""
depths, steps, tolerances = st.integers(1, 12), st.integers(0, 30), st.sampled_from((0.3, 1e-2, 1e-4, 1e-8))
reaches = st.one_of(
    st.builds(Anderson, tolerances), st.builds(Nesterov, tolerances), st.builds(Picard, tolerances)
)
adjoints = st.one_of(
    st.builds(Iterate, st.integers(0, 12)),
    st.builds(Picard, tolerances),
    st.builds(Anderson, tolerances),
    st.builds(Nesterov, tolerances),
    st.builds(GMRES, tolerances),
    # On a J that is not symmetric it stops early, and the certificate says how much is left.
    st.builds(CG, tolerances),
)
shines = st.builds(
    implicit,
    st.builds(Anderson, tolerances, st.just(200), st.integers(2, 4), shared=st.just(True)),
    st.builds(Shared, st.integers(0, 3)),
)
estimators = st.one_of(
    st.builds(restarted_jfb, depths, st.integers(0, 5)),
    st.builds(neumann, steps, depths),
    st.builds(phantom, steps, depths, st.sampled_from((0.3, 0.7, 1.0))),
    st.builds(deq, tolerances),
    st.builds(implicit, st.one_of(st.builds(Iterate, steps), reaches), adjoints),
    shines,
    st.builds(checkpointed, depths, st.integers(0, 4)),
    st.builds(jfb, steps),
    st.builds(unrolled, st.integers(1, 40)),
)
"""Every way to make a gradient that the library has, at depths and tolerances from poor to good."""


def worst(*sides: Sides) -> Sides:
    """The conjunction of several inequalities: one that is violated, else the tightest."""
    return replace(max(sides, key=_severity), first=(sides[0].lhs, sides[0].rhs))


def least(*sides: Sides) -> Sides:
    """For a twin of several false inequalities: violated only where every one of them is."""
    return min(sides, key=_severity)


def _severity(sides: Sides) -> tuple[bool, float]:
    return not holds(sides, ROUNDING), ratio(sides, ROUNDING)
