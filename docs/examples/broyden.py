"""A limited-memory Broyden reach, and a solver made of it: docs/adding.md walks through this file.

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
"""A secant pair that would stretch the inverse more than 1/LEAST times is damped."""
WORSE = 10.0
"""A residual beyond this many times the best one of its sample is a step gone wrong."""


@dataclass(frozen=True)
class Broyden:
    """Broyden's first ("good") method on ``T(x) − x = 0``, with an inverse of limited memory for every sample.

    With ``f = T(x) − x`` the step is ``−H f``. H starts as ``−I``, so the first step is ``x → T(x)``, and every step s,
    which changes f by d, adds the least change after which ``H d = s`` (Broyden 1965; inverse form by Sherman and
    Morrison): ``H + (s − H d)(Hᵀs)ᵀ / ⟨s, H d⟩``. The last ``memory`` of these terms are kept, as in deep equilibrium
    models (Bai, Kolter & Koltun 2019). There is no line search. A pair with ``|⟨s, H d⟩| < LEAST ‖s‖²`` is damped
    instead, as Powell's are (Zhang, O'Donoghue & Boyd 2018), which keeps H invertible; and a sample whose residual is
    ten times its best forgets its pairs, and goes on with a plain step from its best point.

    Cost: one application a step; ``2·memory + 6`` vectors of the size of x.

    Attributes:
        tol: relative residual to reach, by every sample.
        budget: applications at most.
        memory: terms of the inverse.
        shared: leave the inverse behind, for ``shared(k)`` (arXiv 2106.00553).
    """

    tol: float = 1e-6
    budget: int = 500
    memory: int = 10
    shared: bool = False

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        """The best point of every sample, with its own residual."""
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
            better = (size < best) & (best > self.tol)  # a sample that has converged is left alone
            best_x, best_y = torch.where(better, x, best_x), torch.where(better, y, best_y)
            best = torch.where(better, size, best)
            if bool((best <= self.tol).all()):
                break
            lost = ~(size <= WORSE * best)  # a nan as well
            if applications > 1:
                terms.append(_term(terms, s, f - f_before))
            for u, v in terms:
                u[lost[:, 0]] = v[lost[:, 0]] = 0
            x_next = torch.where(lost, best_y, x - _inverse(terms, f))
            s, f_before, x = torch.where(lost, 0, x_next - x), f, x_next
        worst = float(best.max()) if len(best) else 0.0
        report = SolveReport(applications, worst, worst <= self.tol)
        kept = tuple(terms)
        return FixedPoint(_back(best_x, x0), report, _adjoint(kept) if self.shared else None)


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
    found = -f
    for u, v in terms:
        found = found + u * _dot(v, f)
    return found


def _term(terms: deque[tuple[Tensor, Tensor]], s: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """The term of a step s that changed f by d; zero for a sample that made none."""
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
        found = rows = _rows(w)
        for u, v in terms:
            found = found - v * _dot(u, rows)
        return _back(found, w)

    return apply


def broyden(tol: float = 1e-6, memory: int = 10) -> Solver:
    """Broyden for the equilibrium, GMRES to 40 times its tolerance for the adjoint equation."""
    label = f"broyden({tol:g})" if memory == 10 else f"broyden({tol:g}, memory={memory})"
    return Solver(label, Broyden(tol, memory=memory), ImplicitDifferentiation(GMRES(40 * tol)))
