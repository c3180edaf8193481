"""The two-layer generator ``g(u, W) = k^(−1/2) V φ(W u)`` of which W is trained, fitted to measurements.

Every method that moves along gradients keeps ``W(t) = W0 + (z(t) − z0) uᵀ`` with ``z = W u``, for ``|u| = 1`` and
the gradient in W is that in z times uᵀ. So only z in R^k is simulated; ``FullNetwork`` keeps all of W and uses
autograd, and claim 1.1 checks that both move alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .activations import F64, Activation
from .problem import Problem, generator


class Fit(Protocol):
    """A least-squares fit: the residual r ``(…, m)`` of parameters z ``(…, k)``, and its derivatives."""

    def residual(self, z: Tensor) -> Tensor:
        """``r(z)``."""
        ...

    def residual_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``r(z)`` and the gradient of ``½|r|²``."""
        ...

    def jvp(self, z: Tensor, direction: Tensor) -> Tensor:
        """The directional derivative of r at z, ``(…, m)``."""
        ...


def loss(r: Tensor) -> Tensor:
    """``½|r|²`` over the last dimension."""
    return r.square().sum(-1) / 2


@dataclass(frozen=True, slots=True)
class TwoLayer:
    """The network reduced to ``z = W u``, fitted to the measurements of a problem.

    Attributes:
        problem: A is ``(m, n)``.
        V: signs, shape ``(n, k)``.
        phi: the activation.
    """

    problem: Problem
    V: Tensor
    phi: Activation

    def image(self, z: Tensor) -> Tensor:
        """``g``, shape ``(…, n)``."""
        return self.phi.value(z) @ self.V.T / self.V.shape[1] ** 0.5

    def residual(self, z: Tensor) -> Tensor:
        """``A g(z) − y``."""
        return self.image(z) @ self.problem.A.T - self.problem.y

    def residual_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual, and ``Jᵀ Aᵀ r``."""
        value, slope = self.phi.value_and_slope(z)
        scale = self.V.shape[1] ** -0.5
        r = scale * (value @ self.V.T) @ self.problem.A.T - self.problem.y
        return r, (scale * (r @ self.problem.A)) @ self.V * slope

    def jvp(self, z: Tensor, direction: Tensor) -> Tensor:
        """``A J(z) d``."""
        change = (self.phi.slope(z) * direction) @ self.V.T / self.V.shape[1] ** 0.5
        return change @ self.problem.A.T

    def jacobian(self, z: Tensor) -> Tensor:
        """``J = dg/dz``, shape ``(n, k)``, at one z."""
        return self.V * self.phi.slope(z) / self.V.shape[1] ** 0.5


@dataclass(frozen=True, slots=True)
class LinearisedNetwork:
    """The linearised fit: ``r = r0 + D (z − z0)``.

    Attributes:
        D: ``A J(z0)``, shape ``(m, k)``.
        r0, z0: shapes ``(m,)`` and ``(k,)``.
    """

    D: Tensor
    r0: Tensor
    z0: Tensor

    def residual(self, z: Tensor) -> Tensor:
        """``r0 + D (z − z0)``."""
        return self.r0 + (z - self.z0) @ self.D.T

    def residual_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual, and ``Dᵀ r``."""
        r = self.residual(z)
        return r, r @ self.D

    def jvp(self, z: Tensor, direction: Tensor) -> Tensor:
        """``D d``."""
        return direction @ self.D.T


def linearised(fit: TwoLayer, z0: Tensor) -> LinearisedNetwork:
    """``fit`` linearised at z0, of shape ``(k,)``."""
    return LinearisedNetwork(fit.problem.A @ fit.jacobian(z0), fit.residual(z0), z0)


def two_layer(problem: Problem, k: int, phi: Activation, seed: int) -> tuple[TwoLayer, Tensor]:
    """Random signs V and a standard normal z0, shape ``(k,)``, on the device of the problem."""
    source, device = generator(seed), problem.A.device
    V = 2.0 * torch.randint(2, (problem.A.shape[1], k), generator=source).to(F64) - 1
    z0 = torch.randn(k, generator=source, dtype=F64)
    return TwoLayer(problem, V.to(device), phi), z0.to(device)


@dataclass(frozen=True, slots=True)
class FullNetwork:
    """The same network with all of W as its parameters, flat, and its gradient by autograd.

    Attributes:
        reduced: the reduced network of the same V, φ and problem.
        u: the input, shape ``(d,)``, of norm 1.
    """

    reduced: TwoLayer
    u: Tensor

    def hidden(self, z: Tensor) -> Tensor:
        """``W u``, shape ``(…, k)``; the argument z is W, flat, of shape ``(…, k d)``."""
        return z.unflatten(-1, (-1, len(self.u))) @ self.u

    def residual(self, z: Tensor) -> Tensor:
        """``A g(u, W) − y``."""
        return self.reduced.residual(self.hidden(z))

    def residual_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The residual, and the gradient of the loss by autograd."""
        with torch.enable_grad():
            W = z.detach().requires_grad_()
            r = self.residual(W)
            (g,) = torch.autograd.grad(loss(r).sum(), W)
        return r.detach(), g

    def jvp(self, z: Tensor, direction: Tensor) -> Tensor:
        """The directional derivative of r, by forward-mode autograd."""
        return torch.func.jvp(self.residual, (z.clone(),), (direction.clone(),))[1]


def full_network(reduced: TwoLayer, z0: Tensor, d: int, seed: int) -> tuple[FullNetwork, Tensor]:
    """The full network with a random unit input of d entries, and a flat random W0 with ``W0 u = z0``."""
    source = generator(seed)
    u = torch.randn(d, generator=source, dtype=F64)
    u = (u / u.norm()).to(z0.device)
    W0 = torch.randn(len(z0), d, generator=source, dtype=F64).to(z0.device)
    W0 = W0 + torch.outer(z0 - W0 @ u, u)
    return FullNetwork(reduced, u), W0.flatten()
