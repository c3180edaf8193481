"""A solver of one's own: heavy ball

A forward solver approaches the fixed point, and reports how many applications it made. With a backward mode
it is an estimator, and `check_solver` tests it: that its gradient is right, that samples of a batch are
independent, that reports are true.
"""

from dataclasses import dataclass

import torch
from matplotlib import pyplot as plt

from bench.config.matrix import parse_task
from bench.measurement import reference_gradient
from bench.measurement.training import parameters
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import GMRES, FixedPoint, FixedSteps, ImplicitDifferentiation, Solver, SolveReport
from theory_checks.check import run_checks


@dataclass(frozen=True)
class HeavyBall:
    """Steps ``x + (T(x) − x) + momentum (x − previous x)``."""

    steps: int
    momentum: float = 0.8

    def __call__(self, T, x0):
        x = previous = x0
        for _ in range(self.steps):
            x, previous = T(x) + self.momentum * (x - previous), x
        return FixedPoint(x, SolveReport(applications=self.steps))


def heavy_ball(steps: int) -> Solver:
    return Solver(f"heavy_ball({steps})", HeavyBall(steps), ImplicitDifferentiation(GMRES(1e-6)))


layout = Layout(crop=48, train=2, test=1)
problem = build_problem(parse_task("deblurring(huber)"), find_images(), layout, seed=0, dtype=torch.float64)
batch, weights = problem.train, parameters(problem)
T, start, loss = problem.bind(batch), problem.start(batch), problem.criterion(batch)
exact = reference_gradient(T, weights, start, loss).gradient

figure, ax = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
for name, forward in (("plain steps", FixedSteps), ("heavy ball", HeavyBall)):
    errors = {}
    for steps in (5, 10, 20, 40, 80, 160):
        solution = Solver(name, forward(steps), ImplicitDifferentiation(GMRES(1e-6)))(T, start)
        found = torch.cat([g.flatten() for g in torch.autograd.grad(loss(solution.x), weights)])
        errors[steps] = 100 * float((found - exact).norm() / exact.norm())
    print(f"{name}: error of the gradient {errors[40]:.3f} % after 40 steps, {errors[80]:.3f} % after 80")
    ax.loglog(list(errors), list(errors.values()), "o-", label=name)
ax.set(xlabel="forward steps", ylabel="error of the gradient in %")
ax.legend()
figure.savefig("own_solver.png", dpi=130, bbox_inches="tight")
outcomes = run_checks(heavy_ball(400))
print(f"{len(outcomes)} checks, {sum(outcome.wrong for outcome in outcomes)} failed")
