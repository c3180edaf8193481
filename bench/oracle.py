"""The float64 reference gradient, which certifies its own residuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Anderson, Map

TOLERANCE = 1e-10
"""Both residuals of a reference gradient are below this, relative, or there is none."""


class NoOracle(Exception):  # noqa: N818
    """No reference gradient could be certified; the message says which residual failed."""


@dataclass(frozen=True, slots=True)
class Oracle:
    """``∂ℓ/∂θ + Bᵀu`` with ``(I − Jᵀ)u = v`` at ``x = T(x)``.

    Attributes:
        gradient: in all parameters, flattened, float64.
        residual: ``‖T(x) − x‖ / ‖T(x)‖``, the largest over the batch.
        adjoint_residual: ``‖v + Jᵀu − u‖ / ‖v‖`` over the whole batch.
    """

    gradient: Tensor
    residual: float
    adjoint_residual: float


def hypergradient(
    T: Map,
    parameters: Sequence[Tensor],
    x0: Tensor,
    loss: Callable[[Tensor], Tensor],
    budget: int = 3000,
) -> Oracle:
    """The gradient of ``loss(x*)`` by the implicit function theorem.

    Both solves aim below ``TOLERANCE``; then each residual is measured afresh, with one more application
    and one more vector-Jacobian product, whatever the solves said of themselves.

    Args:
        T: the map, in float64.
        parameters: what to differentiate.
        x0: where to start.
        loss: of the equilibrium, a scalar; it may depend on the parameters too.
        budget: applications at most, and vector-Jacobian products at most.

    Raises:
        NoOracle: a residual is above ``TOLERANCE`` or not finite.
        TypeError: ``x0`` is not float64.
    """
    if x0.dtype != torch.float64:
        raise TypeError(f"the oracle works in float64, not {x0.dtype}")
    solve = Anderson(tol=TOLERANCE / 100, budget=budget, memory=10)
    with torch.no_grad():
        x = solve(T, x0).x
    x = x.detach().requires_grad_()
    y = T(x)
    with torch.no_grad():
        gap = torch.linalg.vector_norm((y - x).flatten(1), dim=1)
        residual = float((gap / torch.linalg.vector_norm(y.flatten(1), dim=1)).max())
    if not residual <= TOLERANCE:
        raise NoOracle(f"the equilibrium is known to {residual:.1e} only after {budget} applications")
    at = x.detach().requires_grad_()
    v, *direct = torch.autograd.grad(loss(at), [at, *parameters], materialize_grads=True, allow_unused=True)

    def pulled(u: Tensor) -> Tensor:
        return torch.autograd.grad(y, x, u, retain_graph=True, materialize_grads=True)[0]

    u = solve(lambda u: v + pulled(u), v).x
    with torch.no_grad():
        size = torch.linalg.vector_norm(v)
        missed = torch.linalg.vector_norm(v + pulled(u) - u)
        adjoint_residual = float(missed / size) if size > 0 else 0.0
    if not adjoint_residual <= TOLERANCE:
        raise NoOracle(
            f"the adjoint equation is solved to {adjoint_residual:.1e} only after {budget} products"
        )
    grads = torch.autograd.grad(y, list(parameters), u, materialize_grads=True)
    total = [(g + d).flatten() for g, d in zip(grads, direct, strict=True)]
    return Oracle(torch.cat(total).cpu(), residual, adjoint_residual)
