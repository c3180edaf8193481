"""An operator of one's own: smooth total variation

An operator is a module with one iteration `(x, y, physics) -> x`. This one takes a gradient step on
`½‖Ax − y‖² + Σ e^w Σ √((Dx)² + δ²) + ε/2 ‖x − ½‖²`, with D the differences along one axis. The two weights w,
for vertical and for horizontal differences, are learned at the equilibrium.
"""

import torch
from deepinv.physics import BlurFFT, GaussianNoise
from deepinv.physics.functional import gaussian_blur
from matplotlib import pyplot as plt

from bench.tasks.images import crops, find_images
from solvers import GMRES, Anderson, Reconstructor, implicit

SMOOTHING, RIDGE = 0.1, 0.02


class SmoothVariation(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.log_weights = torch.nn.Parameter(torch.full((2,), -6.0))

    def forward(self, x, y, physics):
        bound = RIDGE + 4 * self.log_weights.exp().sum() / SMOOTHING
        slope = physics.A_adjoint(physics.A(x) - y) + RIDGE * (x - 0.5)
        for weight, axis in zip(self.log_weights.exp(), (-2, -1), strict=True):
            d = x.roll(-1, axis) - x
            d = weight * d / (d.square() + SMOOTHING**2).sqrt()
            slope = slope + d.roll(1, axis) - d
        return x - slope / (1 + bound)


def psnr(x):
    return float(-10 * (x.clamp(0, 1) - test).square().mean().log10())


torch.manual_seed(0)
photographs = find_images()
train = crops(photographs.train, 1, 96, 4, 0).float()
test = crops(photographs.test, 1, 96, 2, 0).float()[1:]
blur = BlurFFT((1, 96, 96), gaussian_blur(sigma=(1.0, 1.0)), noise_model=GaussianNoise(0.05))
y, measured = blur(train), blur(test)
model = Reconstructor(SmoothVariation(), implicit(Anderson(1e-4), GMRES(1e-3)))
optimiser = torch.optim.Adam(model.parameters(), lr=0.2)
images = {"truth": test, "measured": measured, "before learning": model(measured, blur).detach()}
for _ in range(30):
    optimiser.zero_grad()
    (model(y, blur) - train).square().mean().backward()
    optimiser.step()
images["learned"] = model(measured, blur).detach()
print("learned weights:", *(f"{weight:.4f}" for weight in model.operator.log_weights.exp()))

figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=True):
    title = f"{name}: {psnr(image):.2f} dB" if name != "truth" else name
    print(title)
    ax.imshow(image[0, 0].clamp(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
figure.savefig("own_operator.png", dpi=130, bbox_inches="tight")
