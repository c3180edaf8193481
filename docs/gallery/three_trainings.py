"""Train three ways, and see the difference

A denoiser is trained inside an iteration for deblurring, with three gradients: through ten unrolled
iterations, through the last one of eleven (JFB), and through the last ten of 110. At their training depth,
the three reconstruct equally well. Iterated further, the operator that was trained by JFB loses the image.
That of the third was trained near its equilibrium, and stays there. The unrolled one stays too on this
task, but [not on others](../../README.md#past-the-theorem-why-train-at-equilibrium).
"""

import torch
from matplotlib import pyplot as plt

from bench.config.matrix import parse_solver, parse_task
from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images

DEPTHS = (1, 2, 5, 10, 20, 30, 40, 60, 80, 100)
task = parse_task("deblurring(drunet)")
pictures = build_problem(task, find_images(), Layout(crop=96, train=1, test=2), seed=0)
test = pictures.test.select(torch.tensor([1]))


def psnr(x, truth):
    return float(-10 * (x.clamp(0, 1) - truth).square().mean().log10())


figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained", width_ratios=(1.6, 1, 1, 1))
for text, ax in zip(("unrolled(10)", "jfb(10)", "restarted_jfb(10, 10)"), axes[1:], strict=True):
    torch.manual_seed(0)
    problem = build_problem(task, find_images(), Layout(crop=48, train=4, test=1), seed=0)
    learnable = parameters(problem)
    optimiser = torch.optim.Adam(learnable, lr=0.1)
    for step in range(10):
        training_step(parse_solver(text), problem, problem.train.select(torch.tensor([step % 4])))
        torch.nn.utils.clip_grad_norm_(learnable, 0.1)
        optimiser.step()

    T, x, curve = problem.operator.bind(test.y, pictures.physics), pictures.start(test), {}
    with torch.no_grad():
        for k in range(1, 101):
            x = T(x)
            if k in DEPTHS:
                curve[k] = psnr(x, test.truth)
    print(f"{text:22} {curve[10]:.1f} dB after 10 iterations, {curve[100]:.1f} dB after 100")
    axes[0].plot(list(curve), list(curve.values()), "o-", markersize=3, label=text)
    ax.imshow(x[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"{text}\nafter 100: {curve[100]:.1f} dB", fontsize=9)
    ax.axis("off")
axes[0].axvline(10, color="grey", linewidth=0.8, linestyle="dotted")
axes[0].set(xscale="log", xlabel="iterations (trained with 10)", ylabel="PSNR in dB", ylim=(0, 42))
axes[0].legend(fontsize=8, loc="lower left")
figure.savefig("three_trainings.png", dpi=130, bbox_inches="tight")
