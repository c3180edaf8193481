"""The cost of ``certified(rtol)``, against the cheapest fixed depth and the cheapest tolerances.

A user who chooses a depth in advance does not know the error. Here all depths and tolerances are tried, and
``certified`` is compared with the cheapest whose *actual* error is small enough.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import GMRES, Anderson, ImplicitDifferentiation, Loss, Map, certified
from solvers.conformance import relative_error

from ...config.matrix import parse_task
from ...measurement.training import parameters
from ...tasks import Batch, Problem, build_problem
from ...tasks.images import Images, Layout
from ..gradients import flatten, parameter_gradient
from .certified_step import CountingMap
from .trials import trial_reference

LONGEST = 1200
"""Largest cost of a depth that is tried: applications and products."""
DEEPEST = 400
"""Largest number of products that is tried."""
STRIDES = (16, 4, 1)
"""Strides of the search for the number of applications, coarse to fine; finer ones only near the best so far."""
TOLERANCES = tuple(10 ** (-k / 3) for k in range(2, 22))
"""Tolerances of Anderson acceleration and of GMRES: from 0.2 to 1e-7, three per decade."""


@dataclass(frozen=True, slots=True)
class GradientAtDepth:
    """The cheapest gradient of a kind within a relative error, and its cost.

    Attributes:
        part: ``depths``.
        task, crop, L: the problem, and the Lipschitz constant of its map.
        rtol: largest relative error allowed.
        kind: ``certified``, ``certified, estimated`` (T and the loss hide their constants), ``fixed depth`` or
            ``tolerances``.
        call: label of the solver; empty if none was found.
        applications, products: of T.
        looks: evaluations of the derivative bounds of T, each about the cost of an application.
        error, bound: relative; only ``certified`` has a bound.
        met: whether the solver reported convergence.
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


@dataclass(frozen=True, slots=True, eq=False)
class TapedIteration:
    """Plain iteration with a tape of every application, so that a gradient at any depth costs only its products.

    Attributes:
        T, loss, learned: map, loss and parameters.
        points: ``x_0, x_1, …``, extended on demand.
        tapes: ``x_k`` as a leaf and ``T(x_k)``, by k.
    """

    T: Map
    loss: Loss
    learned: Sequence[Tensor]
    points: list[Tensor]
    tapes: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict[int, tuple[Tensor, Tensor]])

    def tape(self, k: int) -> tuple[Tensor, Tensor]:
        """``x_k`` as a leaf and ``T(x_k)``."""
        while len(self.points) <= k + 1:
            x = self.points[-1].detach().requires_grad_()
            y = self.T(x)
            self.tapes[len(self.points) - 1] = x, y
            self.points.append(y.detach())
        return self.tapes[k]

    def gradients(self, steps: Iterable[int], M: int) -> Iterator[Tensor]:
        """Partial sums of ``h + Σ B(x_k)ᵀu_k`` over the k in ``steps``, for the loss at ``x_M``."""
        self.tape(M - 1)
        point = self.points[M].detach().requires_grad_()
        u, *h = torch.autograd.grad(
            self.loss(point), [point, *self.learned], allow_unused=True, materialize_grads=True
        )
        total = flatten(h)
        for k in steps:
            x, y = self.tape(k)
            u, *B = torch.autograd.grad(y, [x, *self.learned], u, retain_graph=True, materialize_grads=True)
            total = total + flatten(B)
            yield total


@dataclass(frozen=True, slots=True)
class CheapestSolver:
    """The cheapest solver for a tolerance: its counts, label and relative error. No label: none found yet."""

    applications: float = LONGEST
    products: float = 0
    call: str = ""
    error: float = math.nan

    @property
    def cost(self) -> float:
        """Applications and products."""
        return self.applications + self.products


class CheapestByTolerance:
    """The cheapest solver for each tolerance so far, in ``best``."""

    def __init__(self, exact: Tensor, rtols: Sequence[float]) -> None:
        self.exact = exact
        self.best = dict.fromkeys(rtols, CheapestSolver())

    @property
    def most(self) -> float:
        """Cost above which nothing can be the cheapest for any tolerance."""
        return self.best[min(self.best)].cost

    def offer(self, applications: float, products: float, call: str, gradient: Tensor) -> None:
        """Take a solver as the cheapest for the tolerances for which it is."""
        solver = CheapestSolver(applications, products, call, relative_error(gradient, self.exact))
        for rtol, best in self.best.items():
            if solver.error <= rtol and solver.cost < best.cost:
                self.best[rtol] = solver


def cheapest_depths(path: TapedIteration, exact: Tensor, rtols: Sequence[float]) -> CheapestByTolerance:
    """The cheapest of ``unrolled``, ``restarted_jfb``, ``jfb``, ``phantom`` and ``neumann``, found by trying them.

    Backpropagation through the last K of M applications is one family, whatever K and M: ``phantom(M − K, K, 1)``
    contains ``restarted_jfb``, ``unrolled`` and ``jfb``. Every sixteenth M is tried with all K, for this family and for
    ``neumann``; then, for each tolerance, every fourth M near the best, and every M near the best of those. Depths
    that cost more than the cheapest for the smallest tolerance are skipped.
    """
    cheapest = CheapestByTolerance(exact, rtols)
    for M in range(1, LONGEST, STRIDES[0]):
        if cheapest.most <= M:
            break
        _offer_depths(path, cheapest, M, int(cheapest.most))
    for coarse, stride in itertools.pairwise(STRIDES):
        for rtol in rtols:
            centre = int(cheapest.best[rtol].applications)
            for M in range(centre - coarse + stride, centre + coarse, stride):
                if cheapest.best[rtol].call and M > 0 and centre != M:
                    _offer_depths(path, cheapest, M, int(cheapest.best[rtol].cost))
    return cheapest


def _offer_depths(path: TapedIteration, cheapest: CheapestByTolerance, M: int, cost: int) -> None:
    """Offer both families at M applications, with every number of products that costs less than ``cost``."""
    most = min(cost - M, DEEPEST)
    for K, gradient in enumerate(path.gradients(range(M - 1, max(-1, M - 1 - most), -1), M), start=1):
        cheapest.offer(M, K, backpropagated(M, K), gradient)
    for K, gradient in enumerate(path.gradients([M - 1] * most, M), start=1):
        cheapest.offer(M, K, f"neumann({M - 1}, {K})", gradient)


def backpropagated(M: int, K: int) -> str:
    """Label of the solver with M applications, the last K of them on the tape."""
    if K == M:
        return f"unrolled({M})"
    if K == 1:
        return f"jfb({M - 1})"
    return f"restarted_jfb({K}, {M // K - 1})" if M % K == 0 else f"phantom({M - K}, {K}, 1)"


def cheapest_tolerances(
    problem: Problem, batch: Batch, exact: Tensor, rtols: Sequence[float], grid: Sequence[float] = TOLERANCES
) -> CheapestByTolerance:
    """The cheapest ``implicit(anderson(a), gmres(b))`` with a and b on a grid."""
    T, start = problem.bind(batch), problem.start(batch)
    cheapest = CheapestByTolerance(exact, rtols)
    for a in grid:
        with torch.no_grad():
            equilibrium = Anderson(a)(T, start)
        if equilibrium.report.evaluations >= cheapest.most:
            break
        for b in grid:
            problem.operator.zero_grad(set_to_none=True)
            solution = ImplicitDifferentiation(GMRES(b))(T, equilibrium)
            problem.loss(solution.x, batch).backward()
            call = f"implicit(anderson({a:.2g}), gmres({b:.2g}))"
            cheapest.offer(solution.evaluations, solution.products, call, parameter_gradient(problem))
            if solution.work >= cheapest.most:
                break
    return cheapest


def depth_rows(
    task: str, images: Images, rtols: Sequence[float], crop: int, grid: Sequence[float] = TOLERANCES
) -> Iterator[GradientAtDepth]:
    """Four rows for each tolerance, one for each ``kind``."""
    parsed = parse_task(task)
    problem = build_problem(parsed, images, Layout(crop, 1, 1), 0, dtype=torch.float64)
    batch = problem.train
    exact = trial_reference(problem, batch)
    if exact is None:
        return
    L = problem.contraction

    def loss(x: Tensor) -> Tensor:
        return problem.loss(x, batch)

    path = TapedIteration(problem.bind(batch), loss, parameters(problem), [problem.start(batch)])
    searched = {
        "fixed depth": cheapest_depths(path, exact, rtols),
        "tolerances": cheapest_tolerances(problem, batch, exact, rtols, grid),
    }
    for rtol in rtols:
        about = ("depths", parsed.label, crop, L, rtol)
        for hidden, kind in ((False, "certified"), (True, "certified, estimated")):
            T = CountingMap(problem.bind(batch), hidden)
            problem.operator.zero_grad(set_to_none=True)
            solver = certified(rtol)
            solution = solver(T, problem.start(batch), loss if hidden else problem.criterion(batch))
            loss(solution.x).backward()
            error = relative_error(parameter_gradient(problem), exact)
            counts, bound = T.counts, solution.certificates[0].relative
            work = (counts.applications, counts.products, counts.looks)
            yield GradientAtDepth(*about, kind, solver.label, *work, error, bound, solution.converged)
        for kind, cheapest in searched.items():
            best = cheapest.best[rtol]
            work = (best.applications, best.products) if best.call else (0, 0)
            yield GradientAtDepth(*about, kind, best.call, *work, 0, best.error)
