"""The same certificate for the inertial system without Hessian damping, ``θ″ + α θ′ + ∇L = 0``, at ``α = √(2Λ)``.

Let Λ bound the Hessian of L and ``|A J|²`` where ``|r| ≤ |r0|``, and ``m = (σ_A σ_J/2)²``, so that ``|∇L|² ≥ 2mL`` in
the ball of radius R. With ``g = ∇L``, ``v = θ′``, ``ε = α/(2Λ + α²)`` and ``F = L + ½|v|² + ε⟨g, v⟩``,

    F′ = −α|v|² + ε⟨∇²L v, v⟩ − εα⟨g, v⟩ − ε|g|² ≤ −(α/2)|v|² − (ε/2)|g|² ≤ −a|v|² − bF,

``a = α/4``, ``b = min(εm/2, α/4, 1/(2ε))``, for ``F ≤ L + |v|² + ½ε²|g|²``. As ``F ≥ (1 − ε²Λ) L ≥ ⅞L``, it follows
that ``|r| ≤ √(8/7) |r0| e^(−bt/2)``; and ``(√F)′ ≤ −√(ab) |v|``, so the way has at most the length
``R' = |r0|/√(2ab) = 4√2 |r0|/(σ_A σ_J)``. If ``R' < R`` the ball is never left, and as the energy falls the loss never
exceeds its start. Derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch

from . import discrete_runs, flow_certificate, flows, network
from .flow_certificate import Certificate
from .settings import Setting

STEP, HORIZON = 0.2, 80.0


@dataclass(frozen=True, slots=True)
class InertialCertificate:
    """The constants of the certificate.

    Attributes:
        start: the constants of gradient flow at the start.
        bound: Λ.
    """

    start: Certificate
    bound: float

    @property
    def alpha(self) -> float:
        """``√(2Λ)``."""
        return math.sqrt(2 * self.bound)

    @property
    def epsilon(self) -> float:
        """The weight of ``⟨∇L, θ′⟩`` in F."""
        return self.alpha / (2 * self.bound + self.alpha**2)

    @property
    def a(self) -> float:
        """The coefficient of ``|θ′|²`` in the decrease of F."""
        return self.alpha / 4

    @property
    def b(self) -> float:
        """The guaranteed decay rate of F, twice that of ``|r|``."""
        return min(self.epsilon * self.start.rate / 2, self.alpha / 4, 1 / (2 * self.epsilon))

    @property
    def needed(self) -> float:
        """R′, a bound on the length of the way that the system takes."""
        return self.start.r0 / math.sqrt(2 * self.a * self.b)


def certifies_inertial_flow(g: InertialCertificate) -> bool:
    """Whether ``R' < R``."""
    return g.needed < g.start.radius


@dataclass(frozen=True, slots=True)
class InertialCheck:
    """The largest ratios of measured to guaranteed values, at most 1 where the certificate holds.

    Attributes:
        k, guarantee, valid: width, constants, and whether ``R' < R``.
        moved: ``|θ − θ0| / R'``.
        jacobian: ``(σ_J/2) / σ_min(J)``.
        residual: ``|r| / (√(8/7) |r0| e^(−bt/2))``.
        lyapunov: ``F e^(bt) / F(0)``.
        way: ``(√F + √(ab) ∫|θ′|) / √F(0)``.
    """

    k: int
    guarantee: InertialCertificate
    valid: bool
    moved: float
    jacobian: float
    residual: float
    lyapunov: float
    way: float


def _check(setting: Setting, k: int) -> InertialCheck:
    fit, z0 = flow_certificate.softplus_network(setting, k)
    c = flow_certificate.certify(fit, z0)
    guarantee = InertialCertificate(c, discrete_runs.lipschitz_of_gradient(fit, z0))
    g, d = guarantee, flows.damping_pairs([guarantee.alpha], [0.0], setting.device)
    s, rows, smallest = flows.initial_state(fit, z0, d), [], math.inf
    for i in range(round(HORIZON / STEP) + 1):
        r, slope = fit.residual_and_gradient(s.theta)
        F = network.loss(r) + s.v.square().sum(-1) / 2 + g.epsilon * (slope * s.v).sum(-1)
        rows.append(torch.stack([F[0], s.v.norm(), r.norm(), (s.theta[0] - z0).norm()]))
        if i % 8 == 0:
            smallest = min(smallest, float(torch.linalg.svdvals(fit.jacobian(s.theta[0])).min()))
        s = flows.rk4(lambda now: flows.inertial_field(fit, now, d), s, STEP)
    F, speed, size, moved = torch.stack(rows, 1)
    t = STEP * torch.arange(len(F), dtype=F.dtype, device=F.device)
    length = torch.cat([F.new_zeros(1), torch.cumulative_trapezoid(speed, dx=STEP)])
    bound = math.sqrt(8 / 7) * c.r0 * torch.exp(-g.b * t / 2)
    return InertialCheck(
        k,
        guarantee,
        certifies_inertial_flow(g),
        moved=float(moved.max()) / g.needed,
        jacobian=c.jacobian / 2 / smallest,
        residual=float((size / bound).max()),
        lyapunov=float((F * torch.exp(g.b * t) / F[0]).max()),
        way=float(((F.sqrt() + math.sqrt(g.a * g.b) * length) / F[0].sqrt()).max()),
    )


@cache
def inertial_checks(setting: Setting) -> list[InertialCheck]:
    """The certificate checked on the inertial system, at each width."""
    return [_check(setting, k) for k in setting.certified_widths]
