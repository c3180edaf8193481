"""A task of one's own: lost rows

A task makes a linear physics of deepinv once the size of an image is known, and adds noise. Here every
third row is lost. The weights of a Huber penalty on wavelet coefficients fill them in.
"""

from dataclasses import dataclass

import torch
from deepinv.physics import Inpainting
from matplotlib import pyplot as plt

from bench.config.matrix import parse_solver
from bench.measurement.training import parameters, training_step
from bench.penalties import huber
from bench.tasks import Task, build_problem
from bench.tasks.images import Layout, find_images


@dataclass(frozen=True)
class LostRows:
    every: int

    def __call__(self, shape, rng, dtype, device):
        mask = torch.ones(shape, dtype=dtype, device=device)
        mask[:, :: self.every] = 0
        return Inpainting(img_size=shape, mask=mask, device=device)


def psnr(x, truth):
    return float(-10 * (x.clamp(0, 1) - truth).square().mean().log10())


task = Task("lost_rows(every=3)", LostRows(3), (0.03,), huber(0.05), step=1.0)
problem = build_problem(task, find_images(), Layout(crop=96, train=4, test=2), seed=0)
solver = parse_solver("implicit(anderson(1e-4), gmres(3e-3))")
test = problem.test.select(torch.tensor([1]))
print(f"eigenvalues of A'A: {problem.spectrum.describe()}, L = {problem.contraction:.3f}")


def reconstruct():
    with torch.no_grad():
        return problem.image_of(test)(solver(problem.bind(test), problem.start(test)).x)


images = {"truth": test.truth, "measured": test.y, "before learning": reconstruct()}
optimiser = torch.optim.Adam(parameters(problem), lr=0.2)
for step in range(40):
    training_step(solver, problem, problem.train.select(torch.tensor([step % 4])))
    optimiser.step()
images["learned"] = reconstruct()

figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=True):
    title = name if name == "truth" else f"{name}: {psnr(image, test.truth):.2f} dB"
    print(title)
    ax.imshow(image[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=9)
    ax.axis("off")
figure.savefig("own_task.png", dpi=130, bbox_inches="tight")
