"""Choose an estimator

Eight estimators compute the gradient of one training loss. `reference_gradient` is exact, so the error of
each is known. The cost is counted in applications of the operator and vector–Jacobian products. The
estimators near the lower left corner are accurate and cheap: those that solve the adjoint equation.
"""

import torch
from matplotlib import pyplot as plt

from bench.config.matrix import parse_solver, parse_task
from bench.measurement import reference_gradient
from bench.measurement.training import parameters
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images

SOLVERS = (
    "unrolled(10)",
    "unrolled(40)",
    "jfb(40)",
    "restarted_jfb(10, 4)",
    "restarted_jfb(40, 4)",
    "deq(0.001)",
    "deq(1e-5)",
    "certified(0.01)",
)
TICKS = (20, 50, 100, 200, 500)
layout = Layout(crop=64, train=2, test=1)
problem = build_problem(parse_task("deblurring(huber)"), find_images(), layout, seed=0, dtype=torch.float64)
batch, weights = problem.train, parameters(problem)
T, start, loss = problem.bind(batch), problem.start(batch), problem.criterion(batch)
exact = reference_gradient(T, weights, start, loss).gradient

figure, ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
for text in SOLVERS:
    solution = parse_solver(text)(T, start, loss)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss(solution.x), weights)])
    error = float((gradient - exact).norm() / exact.norm())
    work = solution.applications + solution.vjps
    print(f"{text:22} error {error:8.3%}   {solution.applications} applications, {solution.vjps} products")
    ax.plot(work, 100 * error, "o", color="tab:blue")
    ax.annotate(text, (work, 100 * error), (5, 4), textcoords="offset points", fontsize=8)
ax.axhline(1, color="grey", linewidth=0.8, linestyle="dotted")
ax.set(xscale="log", yscale="log", xlim=(15, 600), ylim=(0.005, 200))
ax.set_xticks(TICKS, map(str, TICKS))
ax.minorticks_off()
ax.set(xlabel="applications + products of a step", ylabel="error of the gradient in %")
figure.savefig("choose.png", dpi=130, bbox_inches="tight")
