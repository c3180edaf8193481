"""Magnetic resonance imaging with four coils

A quarter of the lines of k-space are measured, by four coils. Images are complex. The weights of a penalty
on wavelet coefficients are learned at the equilibrium, with Anderson's method forwards and GMRES backwards.
The bound L on the Lipschitz constant is computed from the coils and the mask.
"""

import torch
from matplotlib import pyplot as plt

from bench.config.matrix import parse_solver, parse_task
from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem, shown
from bench.tasks.images import Layout, find_images

task, layout = parse_task("mri_coils(coils=4, acceleration=4)"), Layout(crop=96, train=4, test=2)
problem = build_problem(task, find_images(), layout, seed=0)
solver = parse_solver("implicit(anderson(1e-4), gmres(3e-3))")
learnable, test = parameters(problem), problem.test.select(torch.tensor([1]))
optimiser = torch.optim.Adam(learnable, lr=0.2)


def reconstruct():
    with torch.no_grad():
        x = solver(problem.bind(test), problem.start(test)).x
        return shown(problem.image_of(test)(x))


def psnr(image):
    return float(-10 * (image.clamp(0, 1) - truth).square().mean().log10())


truth, zero_filled, before = shown(test.truth), shown(test.x0), reconstruct()
print(f"eigenvalues of A'A: {problem.spectrum.describe()}, L = {problem.contraction:.4f}")
losses = []
for step in range(40):
    _, loss = training_step(solver, problem, problem.train.select(torch.tensor([step % 4])))
    losses.append(float(loss))
    optimiser.step()
learned = reconstruct()
print(f"training loss, mean of four steps: {sum(losses[:4]) / 4:.2e} to {sum(losses[-4:]) / 4:.2e}")
images = {"start": zero_filled, "before learning": before, "learned": learned, "truth": truth}

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=False):
    title = name if name == "truth" else f"{name}: {psnr(image):.2f} dB"
    print(title)
    ax.imshow(image[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=9)
axes[4].imshow((learned - truth)[0, 0].abs(), cmap="magma", vmin=0, vmax=0.2)
axes[4].set_title("error of learned, to 0.2", fontsize=9)
for ax in axes:
    ax.axis("off")
figure.savefig("mri.png", dpi=130, bbox_inches="tight")
