"""Tune one weight by hand, learn a weight for each band from there, and score both on the test images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from solvers import Anderson, deq
from solvers.optimisers import LBFGS

from ...operators import peaceman_rachford
from ...tasks import Batch, Problem, Task, build_problem, shown
from ...tasks.images import Images, Layout
from ...utils.errors import UserError
from ..objective import objective_of
from ..psnr import psnr

FACTOR = 2**0.5
"""Ratio of neighbours on the grid of hand-tuned weights."""
GRID = tuple(1e-4 * FACTOR**k for k in range(24))
"""Weights from 0.0001 to 0.29; the search goes up and down from the middle, as long as the PSNR rises."""
EQUILIBRIUM = Anderson(1e-5, 2000)
SOLVER = deq(1e-4, 2000)
OPTIMISER = LBFGS(noise=1e-5)
STEPS = 15
"""Of L-BFGS."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What hand-tuned and learned weights do on a task with a seed. PSNR is in dB, of the magnitude of complex images.

    Attributes:
        weight: the hand-tuned weight.
        weights: the learned ones, all of them.
        start: PSNR of the test images at the start of the iteration, a mean over images.
        hand, learned: PSNR of each test image at the equilibrium.
        hand_training, learned_training: mean PSNR of the training images at the equilibrium.
        steps: of the optimiser.
        ended: why there is no further one.
        on_edge: whether the hand-tuned weight is the first or the last of the grid.
    """

    weight: float
    weights: list[float]
    start: float
    hand: list[float]
    learned: list[float]
    hand_training: float
    learned_training: float
    steps: int
    ended: str
    on_edge: bool

    @property
    def gain(self) -> float:
        """Mean over the test images of the gain of learned weights, in dB."""
        return sum(b - a for a, b in zip(self.hand, self.learned, strict=True)) / len(self.hand)

    def columns(self) -> dict[str, object]:
        """For a JSON file."""
        return asdict(self)


def measure(task: Task, images: Images, layout: Layout, seed: int) -> Gain:
    """Tune, learn and score, in float64.

    The hand-tuned weight is the best of a grid by mean PSNR of the training images. Learning starts there, with one
    weight for each band, and takes ``STEPS`` steps of L-BFGS on the squared error of the same images.

    Args:
        task: with a weighted penalty.
        images, layout, seed: see ``build_problem``.

    Raises:
        UserError: an equilibrium is not reached to 1e-5.
    """
    problem = fast_problem(task, images, layout, seed)
    objective = objective_of(problem)
    train, test = Equilibrium(problem, problem.train), Equilibrium(problem, problem.test)

    def training_psnr(index: int) -> float:
        objective.move(torch.full_like(objective.theta(), math.log(GRID[index])))
        return float(train.psnr().mean())

    best = climb(training_psnr, len(GRID))
    hand_training = training_psnr(best)
    hand = test.psnr().tolist()
    start = psnr(shown(problem.test.x0), shown(problem.test.truth)).mean()
    steps, ended = learn(problem)
    return Gain(
        GRID[best],
        objective.theta().exp().tolist(),
        float(start),
        hand,
        test.psnr().tolist(),
        hand_training,
        float(train.psnr().mean()),
        steps,
        ended,
        best in (0, len(GRID) - 1),
    )


def climb(value: Callable[[int], float], count: int) -> int:
    """The index below ``count`` at which a function with one maximum is largest; it is called once for each index."""
    known: dict[int, float] = {}

    def at(index: int) -> float:
        if index not in known:
            known[index] = value(index)
        return known[index]

    here = count // 2
    for step in (4, 1):
        for direction in (step, -step):
            while 0 <= here + direction < count and at(here + direction) > at(here):
                here += direction
    return here


def fast_problem(task: Task, images: Images, layout: Layout, seed: int) -> Problem:
    """The problem with Peaceman–Rachford, or with the operator of the task where the data term has no closed prox."""
    try:
        fast = replace(task, splitting=peaceman_rachford())
        return build_problem(fast, images, layout, seed, dtype=torch.float64)
    except UserError:
        return build_problem(task, images, layout, seed, dtype=torch.float64)


def learn(problem: Problem) -> tuple[int, str]:
    """Learn the weights in place. Returns the number of steps, and why there is no further one."""
    objective = objective_of(problem)
    steps = OPTIMISER.minimise(objective, SOLVER)
    last = next(steps)
    while not last.why and last.number < STEPS:
        last = next(steps)
    # The last trial may have been a rejected one.
    objective.move(last.evaluation.theta)
    return last.number, last.why or "steps"


class Equilibrium:
    """Equilibria of a batch with the present weights, each solved from the last one."""

    def __init__(self, problem: Problem, batch: Batch) -> None:
        self.problem, self.batch = problem, batch
        self.state = problem.start(batch)

    def psnr(self) -> Tensor:
        """PSNR ``(B,)`` in dB. Raises ``UserError`` if the equilibrium is not reached."""
        return psnr(self.image(), shown(self.batch.truth))

    @torch.no_grad()
    def image(self) -> Tensor:
        """What is looked at, ``(B, 1 or 3, H, W)``. Raises ``UserError`` if the equilibrium is not reached."""
        found = EQUILIBRIUM(self.problem.bind(self.batch), self.state)
        if not found.report.converged:
            raise UserError(f"the equilibrium has a residual of {found.report.residual:.1e}, above 1e-5")
        self.state = found.x
        return shown(self.problem.image_of(self.batch)(found.x))
