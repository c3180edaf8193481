"""A limited-memory Broyden forward solver, and a solver made of it; docs/adding.md explains this file.

Use it, from the checkout of the project, as

    python -m bench cell --task 'deblurring(huber)' --solver 'docs/examples/broyden.py:broyden(1e-4)'
    python -m bench cell --task 'deblurring(huber)' \\
        --solver 'implicit(docs/examples/broyden.py:Broyden(1e-4, shared=True), shared(5))'
    python -m theory_checks check 'docs/examples/broyden.py:broyden(1e-12)'
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import GMRES, FixedPoint, ImplicitDifferentiation, Map, Solver, SolveReport

LEAST = 0.1
"""A secant pair that would stretch the inverse by more than 1/LEAST is damped."""
WORSE = 10.0
"""A residual above this many times the best one of its sample means that the method has failed."""


@dataclass(frozen=True)
class Broyden:
    """Broyden's first ("good") method on ``T(x) − x = 0``, with an inverse of limited memory for every sample.

    With ``f = T(x) − x`` the step is ``−H f``. H starts as ``−I``, so the first step is ``x → T(x)``. A step s, which
    changes f by d, adds the least change after which ``H d = s`` (Broyden 1965; inverse form by Sherman and Morrison):
    ``H + (s − H d)(Hᵀs)ᵀ / ⟨s, H d⟩``. The last ``memory`` terms are kept, as in deep equilibrium models (Bai, Kolter &
    Koltun 2019). There is no line search. A pair with ``|⟨s, H d⟩| < LEAST ‖s‖²`` is damped instead, as Powell's are
    (Zhang, O'Donoghue & Boyd 2018), which keeps H invertible. A sample whose residual is ten times its best drops its
    pairs, and takes a plain step from its best point.

    Cost: one application a step; ``2·memory + 6`` vectors of the size of x.

    Attributes:
        tol: relative residual of every sample.
        budget: maximal number of applications.
        memory: number of terms of the inverse.
        shared: whether to return the inverse, for ``shared(k)`` (arXiv 2106.00553).
    """

    tol: float = 1e-6
    budget: int = 500
    memory: int = 10
    shared: bool = False

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        """Return the best point of every sample, with its residual."""
        x = _rows(x0)
        terms: deque[tuple[Tensor, Tensor]] = deque(maxlen=self.memory)
        best_x = best_y = x
        best = x.new_full((len(x), 1), torch.inf)
        s = f_before = torch.zeros_like(x)
        applications = 0
        while applications < self.budget:
            y = _rows(T(_back(x, x0)))
            applications += 1
            f = y - x
            size = _norm(f) / _norm(y).clamp_min(torch.finfo(x.dtype).tiny)
            better = (size < best) & (best > self.tol)  # a sample that has converged does not change
            best_x, best_y = torch.where(better, x, best_x), torch.where(better, y, best_y)
            best = torch.where(better, size, best)
            if bool((best <= self.tol).all()):
                break
            failed = ~(size <= WORSE * best)  # also for a nan
            if applications > 1:
                terms.append(_term(terms, s, f - f_before))
            for u, v in terms:
                u[failed[:, 0]] = v[failed[:, 0]] = 0
            x_next = torch.where(failed, best_y, x - _inverse(terms, f))
            s, f_before, x = torch.where(failed, 0, x_next - x), f, x_next
        worst = float(best.max()) if len(best) else 0.0
        report = SolveReport(applications, worst, worst <= self.tol)
        inverse = _adjoint(tuple(terms)) if self.shared else None
        return FixedPoint(_back(best_x, x0), report, inverse)


def _rows(x: Tensor) -> Tensor:
    """``x`` as ``(samples, entries)``, complex entries as pairs: autograd is linear over the reals alone."""
    x = torch.view_as_real(x) if x.is_complex() else x[..., None]
    return x.flatten(1) if x.ndim > 2 else x.reshape(1, -1)


def _back(matrix: Tensor, like: Tensor) -> Tensor:
    """``matrix`` of ``_rows`` in the shape of ``like``."""
    if like.is_complex():
        return torch.view_as_complex(matrix.reshape(*like.shape, 2))
    return matrix.reshape(like.shape)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """``⟨a, b⟩`` of each sample, ``(samples, 1)``."""
    return (a * b).sum(1, keepdim=True)


def _norm(a: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a, dim=1, keepdim=True)


def _inverse(terms: deque[tuple[Tensor, Tensor]], f: Tensor) -> Tensor:
    """``H f = −f + Σ u ⟨v, f⟩``."""
    step = -f
    for u, v in terms:
        step = step + u * _dot(v, f)
    return step


def _term(terms: deque[tuple[Tensor, Tensor]], s: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Return the term of a step s that changed f by d; zero for a sample without a step."""
    Hd, Hs = _inverse(terms, d), -s
    for u, v in terms:
        Hs = Hs + v * _dot(u, s)
    square = _dot(s, s)
    gamma = _dot(s, Hd) / square
    theta = torch.where(gamma.abs() >= LEAST, 1, (1 - LEAST * torch.where(gamma < 0, -1, 1)) / (1 - gamma))
    u = theta * (s - Hd) / (square * (1 - theta * (1 - gamma)))
    usable = (square > 0) & u.isfinite().all(1, keepdim=True)
    return torch.where(usable, u, 0), torch.where(usable, Hs, 0)


def _adjoint(terms: tuple[tuple[Tensor, Tensor], ...]) -> Map:
    """``v -> −Hᵀv``, which is about ``(I − Jᵀ)⁻¹v``."""

    def apply(w: Tensor) -> Tensor:
        result = rows = _rows(w)
        for u, v in terms:
            result = result - v * _dot(u, rows)
        return _back(result, w)

    return apply


def broyden(tol: float = 1e-6, memory: int = 10) -> Solver:
    """Solve for the equilibrium by Broyden, and the adjoint equation by GMRES to 40 times its tolerance."""
    label = f"broyden({tol:g})" if memory == 10 else f"broyden({tol:g}, memory={memory})"
    return Solver(label, Broyden(tol, memory=memory), ImplicitDifferentiation(GMRES(40 * tol)))
