"""Plug-and-play: a network as the prior

A denoiser takes the place of a proximity operator. The DnCNN was trained with a bounded residual, so a
bound L on the Lipschitz constant of the whole iteration is known; on a blur it is above one, and proves
nothing. No bound covers the DRUNet. What can be measured is the norm of the Jacobian at the last iterate:
below one, the iteration contracts near there, as the residuals show.
"""

import torch
from matplotlib import pyplot as plt

from bench.config.matrix import parse_task
from bench.measurement.jacobian_norm import jacobian_norm
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images


def psnr(x, truth):
    return float(-10 * (x.clamp(0, 1) - truth).square().mean().log10())


figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained", width_ratios=(1, 1, 1, 1.4))
for name, sigma, ax in (("dncnn", 0.03, axes[1]), ("drunet", 0.02, axes[2])):
    task = parse_task(f"deblurring({name}(sigma={sigma}))")
    problem = build_problem(task, find_images(), Layout(crop=96, train=1, test=2), seed=0)
    test = problem.test.select(torch.tensor([1]))
    T, x, residuals = problem.bind(test), problem.start(test), []
    with torch.no_grad():
        for _ in range(100):
            x, before = T(x), x
            residuals.append(float((x - before).norm() / x.norm()))
    known = f"L = {problem.contraction:.3f}" if problem.contraction == problem.contraction else "no bound"
    size = jacobian_norm(T, x, steps=20).value
    print(f"{name}: {known}, norm of the Jacobian {size:.2f}, residual {residuals[-1]:.1e}")
    print(f"{name}: blurred {psnr(test.y, test.truth):.2f} dB, reconstructed {psnr(x, test.truth):.2f} dB")
    ax.imshow(x[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"{name}: {psnr(x, test.truth):.2f} dB", fontsize=9)
    axes[3].semilogy(residuals, label=name)
axes[0].imshow(test.y[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
axes[0].set_title(f"blurred and noisy: {psnr(test.y, test.truth):.2f} dB", fontsize=9)
for ax in axes[:3]:
    ax.axis("off")
axes[3].set(xlabel="iterations", ylabel="residual, relative")
axes[3].legend(fontsize=8)
figure.savefig("plug_and_play.png", dpi=130, bbox_inches="tight")
