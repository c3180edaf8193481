"""What ``certified(rtol)`` costs, against the cheapest depth, and the cheapest tolerances, that anybody could choose.

Whoever chooses a depth in advance does not know the error. Here everything is tried, and the cheapest whose *actual*
error is small enough is what ``certified`` is held against.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import GMRES, Anderson, FixedPoint, ImplicitDifferentiation, Loss, Map, Solution, certified

from ...config.matrix import parse_task
from ...measurement.training import parameters
from ...tasks import Batch, Problem, build_problem
from ...tasks.images import Images, Layout
from .certified_step import CountingMap, flatten
from .trials import trial_reference

LONGEST = 1200
"""Applications and products at most of a depth that is tried."""
DEEPEST = 400
"""Products at most."""
STRIDES = (16, 4, 1)
"""First every sixteenth depth is tried; then, near the best, every fourth; then every one."""
TOLERANCES = tuple(10 ** (-k / 3) for k in range(2, 22))
"""From 0.2 to 1e-7, three a decade: of Anderson acceleration, and of GMRES."""


@dataclass(frozen=True, slots=True)
class GradientAtDepth:
    """A gradient to a relative error, and what it cost.

    Attributes:
        part: ``depths``.
        task, crop, L, rtol: of what, and how small the error was to be.
        kind: ``certified``, ``certified, estimated`` (T and the loss hid what they know), ``fixed depth`` or
            ``tolerances``: the cheapest of these.
        call: the call that makes it; empty if none was found.
        applications, products: of T; looks at its regularity, which cost about as much as an application, are apart.
        error, bound: relative; there is a bound for ``certified`` alone.
        met: whether it ended well by its own account.
    """

    part: str
    task: str
    crop: int
    L: float
    rtol: float
    kind: str
    call: str = ""
    applications: float = 0
    products: float = 0
    looks: int = 0
    error: float = math.nan
    bound: float = math.nan
    met: bool = True

    @property
    def cost(self) -> float:
        """Applications and products."""
        return self.applications + self.products


@dataclass(frozen=True, slots=True, eq=False)
class TapedIteration:
    """The plain iteration from the start, with a tape of every step, so that each depth costs its products alone.

    Attributes:
        T, loss, learned: map, loss and parameters.
        points: ``x_0, x_1, …`` as far as anybody has asked.
        tapes: of ``T(x_k)`` at ``x_k``, likewise.
    """

    T: Map
    loss: Loss
    learned: Sequence[Tensor]
    points: list[Tensor]
    tapes: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict[int, tuple[Tensor, Tensor]])

    def tape(self, k: int) -> tuple[Tensor, Tensor]:
        """``x_k`` as a leaf and ``T(x_k)``."""
        while len(self.points) <= k + 1:
            at = self.points[-1].detach().requires_grad_()
            y = self.T(at)
            self.tapes[len(self.points) - 1] = at, y
            self.points.append(y.detach())
        return self.tapes[k]

    def gradients(self, ends: Iterable[int], at: int) -> Iterator[Tensor]:
        """``h + Σ B(x_k)ᵀu_k`` as it grows by a product at each of ``ends``, for the loss at ``x_at``."""
        self.tape(at - 1)
        point = self.points[at].detach().requires_grad_()
        u, *h = torch.autograd.grad(
            self.loss(point), [point, *self.learned], allow_unused=True, materialize_grads=True
        )
        total = flatten(h)
        for k in ends:
            x, y = self.tape(k)
            u, *B = torch.autograd.grad(y, [x, *self.learned], u, retain_graph=True, materialize_grads=True)
            total = total + flatten(B)
            yield total


@dataclass(frozen=True, slots=True)
class BestDepth:
    """The cheapest for a tolerance: its cost, its call and its relative error."""

    applications: float = LONGEST
    products: float = 0
    call: str = ""
    error: float = math.nan

    @property
    def cost(self) -> float:
        """Applications and products."""
        return self.applications + self.products


@dataclass(slots=True)
class CheapestByTolerance:
    """The cheapest for each tolerance, so far."""

    exact: Tensor
    best: dict[float, BestDepth]

    def offer(self, applications: float, products: float, call: str, gradient: Tensor) -> None:
        """A gradient, which may be the cheapest for some tolerances."""
        error = float(torch.linalg.vector_norm(gradient - self.exact) / torch.linalg.vector_norm(self.exact))
        found = BestDepth(applications, products, call, error)
        for rtol, best in self.best.items():
            if found.error <= rtol and found.cost < best.cost:
                self.best[rtol] = found


def fixed(path: TapedIteration, exact: Tensor, rtols: Sequence[float]) -> CheapestByTolerance:
    """The cheapest of ``unrolled``, ``restarted_jfb``, ``jfb`` and ``phantom``, and of ``neumann``, by trying them.

    All that backpropagate through the last K of M applications are one family, whatever K and M, so that
    ``phantom(M − K, K, 1)`` contains ``restarted_jfb``, ``unrolled`` and ``jfb``. Tried are every sixteenth M with all
    K, for both families; then, for each tolerance, every fourth M near the best one, and every one near the best of
    those. Nothing is tried that is dearer than what is known for the smallest tolerance.
    """
    cheapest = CheapestByTolerance(exact, {rtol: BestDepth() for rtol in rtols})
    for M in range(1, LONGEST, STRIDES[0]):
        below = int(cheapest.best[min(rtols)].cost)
        if below <= M:
            break
        _families(path, cheapest, M, below)
    for before, stride in itertools.pairwise(STRIDES):
        for rtol in rtols:
            centre = int(cheapest.best[rtol].applications)  # whole: these try no tolerances
            for M in range(centre - before + stride, centre + before, stride):
                if cheapest.best[rtol].call and M > 0 and centre != M:
                    _families(path, cheapest, M, int(cheapest.best[rtol].cost))
    return cheapest


def _families(path: TapedIteration, cheapest: CheapestByTolerance, M: int, below: int) -> None:
    """Both families at M applications, with all products that cost less than ``below``."""
    most = min(below - M, DEEPEST)
    for K, gradient in enumerate(path.gradients(range(M - 1, max(-1, M - 1 - most), -1), M), start=1):
        cheapest.offer(M, K, backpropagated(M, K), gradient)
    for K, gradient in enumerate(path.gradients([M - 1] * most, M), start=1):
        cheapest.offer(M, K, f"neumann({M - 1}, {K})", gradient)


def backpropagated(M: int, K: int) -> str:
    """The call of M applications, the last K of them on the tape."""
    if K == M:
        return f"unrolled({M})"
    if K == 1:
        return f"jfb({M - 1})"
    return f"restarted_jfb({K}, {M // K - 1})" if M % K == 0 else f"phantom({M - K}, {K}, 1)"


def tolerances(
    problem: Problem, batch: Batch, exact: Tensor, rtols: Sequence[float], grid: Sequence[float] = TOLERANCES
) -> CheapestByTolerance:
    """The cheapest ``implicit(anderson(a), gmres(b))`` with a and b on a grid."""
    T, start = problem.bind(batch), problem.start(batch)
    cheapest = CheapestByTolerance(exact, dict.fromkeys(rtols, BestDepth()))
    for a in grid:
        with torch.no_grad():
            at = Anderson(a)(T, start)
        if at.report.evaluations >= cheapest.best[min(rtols)].cost:
            break
        for b in grid:
            solution, gradient = _implicit(problem, batch, T, at, b)
            call = f"implicit(anderson({a:.2g}), gmres({b:.2g}))"
            cheapest.offer(solution.evaluations, solution.products, call, gradient)
            if solution.work >= cheapest.best[min(rtols)].cost:
                break
    return cheapest


def _implicit(problem: Problem, batch: Batch, T: Map, at: FixedPoint, tol: float) -> tuple[Solution, Tensor]:
    problem.operator.zero_grad(set_to_none=True)
    solution = ImplicitDifferentiation(GMRES(tol))(T, at)
    problem.loss(solution.x, batch).backward()
    return solution, _gradient(problem)


def _gradient(problem: Problem) -> Tensor:
    return flatten([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters(problem)])


def depth_rows(
    task: str,
    images: Images,
    rtols: Sequence[float],
    crop: int,
    size: int,
    grid: Sequence[float] = TOLERANCES,
) -> Iterator[GradientAtDepth]:
    """Four rows for each tolerance: ``certified``, with and without what T knows, and the cheapest of the others."""
    parsed = parse_task(task)
    problem = build_problem(parsed, images, Layout(crop, size, 1), 0, dtype=torch.float64)
    batch = problem.train
    exact = trial_reference(problem, batch)
    if exact is None:
        return
    L = problem.contraction

    def loss(x: Tensor) -> Tensor:
        return problem.loss(x, batch)

    path = TapedIteration(problem.bind(batch), loss, parameters(problem), [problem.start(batch)])
    searched = {
        "fixed depth": fixed(path, exact, rtols),
        "tolerances": tolerances(problem, batch, exact, rtols, grid),
    }
    for rtol in rtols:
        for hidden, kind in ((False, "certified"), (True, "certified, estimated")):
            T = CountingMap(problem.bind(batch), hidden)
            problem.operator.zero_grad(set_to_none=True)
            solver = certified(rtol)
            solution = solver(T, problem.start(batch), loss if hidden else problem.criterion(batch))
            loss(solution.x).backward()
            error = float(
                torch.linalg.vector_norm(_gradient(problem) - exact) / torch.linalg.vector_norm(exact)
            )
            found, bound = T.counts, solution.certificates[0].relative
            work = (found.applications, found.products, found.looks)
            first = (parsed.label, crop, L, rtol)
            yield GradientAtDepth(
                "depths", *first, kind, solver.label, *work, error, bound, solution.converged
            )
        for kind, cheapest in searched.items():
            best = cheapest.best[rtol]
            work = (best.applications, best.products) if best.call else (0, 0)
            yield GradientAtDepth(
                "depths", parsed.label, crop, L, rtol, kind, best.call, *work, 0, best.error
            )
