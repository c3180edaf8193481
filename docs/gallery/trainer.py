"""A certified gradient in deepinv's Trainer

`GradientMonitor` wraps a solver, and bounds the error of the gradient of every fifth step. The bound needs
no second gradient. `deepinv.Trainer` trains the model as it trains any other.
"""

import deepinv
import torch
from matplotlib import pyplot as plt
from torch.utils.data import DataLoader

from bench.config.matrix import parse_task
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import GMRES, Anderson, GradientMonitor, Reconstructor, implicit

layout = Layout(crop=64, train=4, test=1)
problem = build_problem(parse_task("deblurring(huber)"), find_images(), layout, seed=0, dtype=torch.float64)
batch, log = problem.train, []


def note(step, bound):
    log.append((step, 100 * bound.relative))
    print(f"step {step:2}: error of at most {bound.relative:.2%}, rigorous: {bound.rigorous}")


monitor = GradientMonitor(
    implicit(Anderson(1e-12), GMRES(1e-4)), note, every=5, smoothness=lambda x: 2 / x.numel()
)
model = Reconstructor(problem.operator, monitor)
pairs = deepinv.datasets.TensorDataset(x=batch.truth, y=batch.y, use_dict_output=True)
trainer = deepinv.Trainer(
    model,
    problem.physics,
    torch.optim.Adam(model.parameters(), lr=0.1),
    DataLoader(pairs, batch_size=2),
    epochs=13,
    losses=deepinv.loss.SupLoss(),
    device="cpu",
    save_path=None,
    verbose=False,
    show_progress_bar=False,
    non_blocking_transfers=False,
)
trainer.train()

figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
ax.plot(*zip(*log, strict=True), "o-")
ax.set(xlabel="training step", ylabel="bound on the error of the gradient, in %")
ax.set_ylim(bottom=0)
figure.savefig("trainer.png", dpi=130, bbox_inches="tight")
