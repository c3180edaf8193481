"""Computed tomography from thirty angles

Filtered back-projection is the classical reconstruction. The equilibrium of a learned penalty uses the same
measurement. The penalty is trained on the medical photographs of scikit-image, and tested on the phantom of
Shepp and Logan.
"""

import torch
from matplotlib import pyplot as plt

from bench.config.matrix import parse_solver, parse_task
from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images

layout = Layout(crop=96, train=3, test=1)
problem = build_problem(parse_task("tomography(angles=30)"), find_images("medical"), layout, seed=0)
solver = parse_solver("implicit(anderson(1e-4), gmres(3e-3))")
learnable, test = parameters(problem), problem.test
optimiser = torch.optim.Adam(learnable, lr=0.2)
print(f"eigenvalues of A'A: {problem.spectrum.describe()}, L = {problem.contraction:.4f}")


def reconstruct():
    with torch.no_grad():
        x = solver(problem.bind(test), problem.start(test)).x
        return problem.image_of(test)(x)


def psnr(image):
    return float(-10 * (image.clamp(0, 1) - test.truth).square().mean().log10())


back_projection, before = problem.physics.A_dagger(test.y), reconstruct()
for step in range(24):
    training_step(solver, problem, problem.train.select(torch.tensor([step % 3])))
    optimiser.step()
learned = reconstruct()

images = {"filtered back-projection": back_projection, "before learning": before, "learned": learned}
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
axes[0].imshow(test.y[0, 0].T, cmap="gray", aspect="auto")
axes[0].set_title("measured: 30 projections", fontsize=9)
for ax, (name, image) in zip(axes[1:], images.items(), strict=False):
    print(f"{name}: {psnr(image):.2f} dB")
    ax.imshow(image[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"{name}: {psnr(image):.1f} dB", fontsize=8)
axes[4].imshow(test.truth[0, 0], cmap="gray", vmin=0, vmax=1)
axes[4].set_title("truth", fontsize=9)
for ax in axes:
    ax.axis("off")
figure.savefig("tomography.png", dpi=130, bbox_inches="tight")
