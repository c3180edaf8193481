"""What is measured of one cell: the gradient at the start, training, and images at depth and at equilibrium."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from deepinv.loss.metric import PSNR, SSIM
from torch import Tensor

from solvers import Anderson, Solution, Solver

from .images import Images, Layout
from .matrix import Cell, Profile
from .memory import peak_bytes, saved_bytes
from .oracle import NoOracle, Oracle, hypergradient
from .tasks import Batch, Instance, Task, instance, loss

WILD = 1e3
"""A reconstruction beyond a thousand times the peak has diverged."""


@dataclass(slots=True)
class Measured:
    """Outcome of a cell. ``values`` holds what was measured before things went wrong, if they did.

    Attributes:
        status: ``ok``, ``nan`` or ``diverged``.
        reason: in a line, why it is not ``ok``.
        values: numbers and lists of numbers.
        panels: pictures of the first test image, ``(C, H, W)`` uint8, by name.
    """

    status: str = "ok"
    reason: str = ""
    values: dict[str, object] = field(default_factory=dict)
    panels: dict[str, Tensor] = field(default_factory=dict)


class _Stop(Exception):  # noqa: N818
    """Training cannot go on."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def measure(cell: Cell, profile: Profile, images: Images, device: torch.device) -> Measured:
    """Measure everything but seconds.

    A NaN or a divergence is an outcome, not an exception; other exceptions pass.
    """
    torch.set_num_threads(profile.threads)
    torch.manual_seed(cell.seed)
    dtype = getattr(torch, profile.dtype)
    problem = instance(cell.task, images, profile.images.layout(), cell.seed, dtype=dtype, device=device)
    first = problem.train.pick(torch.arange(min(profile.training.batch, profile.images.train)))
    out = Measured()
    out.values["contraction"] = problem.contraction
    try:
        out.values |= _gradient_quality(cell, problem, first, profile, images)
        out.values |= _train(cell, problem, profile)
        _test(cell, problem, profile, out)
    except _Stop as stop:
        out.status, out.reason = stop.status, str(stop)
    return out


def parameters(problem: Instance) -> list[Tensor]:
    """The learnable tensors of the operator, in a fixed order."""
    return list(problem.operator.parameters())


def training_step(solver: Solver, problem: Instance, batch: Batch) -> tuple[Solution, Tensor]:
    """Forward and backward on a batch; gradients are left in the parameters. Returns the loss too."""
    problem.operator.zero_grad(set_to_none=True)
    solution = solver(problem.bind(batch), batch.x0)
    value = loss(solution.x, batch.truth)
    value.backward()
    return solution, value.detach()


@functools.lru_cache(maxsize=4)
def reference(task: Task, images: Images, layout: Layout, size: int, seed: int) -> Oracle | str:
    """The float64 gradient of a task and seed at the initial parameters, or why there is none.

    It is that of the first ``size`` training crops, and runs on the CPU whatever the cell's device is; cells of
    one task and seed share it.
    """
    problem = instance(task, images, layout, seed, dtype=torch.float64)
    batch = problem.train.pick(torch.arange(size))
    try:
        return hypergradient(
            problem.bind(batch), parameters(problem), batch.x0, lambda x: loss(x, batch.truth)
        )
    except NoOracle as error:
        return str(error)


def _gradient_quality(
    cell: Cell, problem: Instance, batch: Batch, profile: Profile, images: Images
) -> dict[str, object]:
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    device = batch.y.device
    with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
        solution, value = training_step(cell.solver, problem, batch)
    _check(value, solution.x)
    grads = [p.grad for p in problem.operator.parameters() if p.grad is not None]
    estimate = torch.cat([g.flatten() for g in grads]).double().cpu()
    with torch.no_grad():
        x = solution.x.detach()
        image = problem.bind(batch)(x)
        residual = (torch.linalg.vector_norm(image - x) / torch.linalg.vector_norm(image)).item()
    values: dict[str, object] = {
        "applications": solution.applications,
        "recorded": solution.recorded,
        "vjps": solution.vjps,
        "converged": solution.converged,
        "residual": residual,
        "saved_bytes": saved.count,
        "gradient": estimate.tolist(),
    }
    del solution, value, x, image, grads
    with peak_bytes(device) as peak:
        training_step(cell.solver, problem, batch)
    values["peak_bytes"] = peak.count
    exact = reference(cell.task, images, profile.images.layout(), len(batch.y), cell.seed)
    if isinstance(exact, str):
        return values | {"hypergradient_error": math.nan, "hypergradient_cosine": math.nan, "oracle": exact}
    _check(estimate, estimate)
    size = torch.linalg.vector_norm(exact.gradient)
    return values | {
        "hypergradient_error": float(torch.linalg.vector_norm(estimate - exact.gradient) / size),
        "hypergradient_cosine": float(torch.nn.functional.cosine_similarity(estimate, exact.gradient, dim=0)),
        "oracle": "certified",
        "oracle_residual": exact.residual,
        "oracle_adjoint_residual": exact.adjoint_residual,
    }


def _train(cell: Cell, problem: Instance, profile: Profile) -> dict[str, object]:
    table = profile.training
    optimiser = torch.optim.Adam(problem.operator.parameters(), lr=table.rate)
    order = _batches(len(problem.train.y), table.batch, cell.seed)
    losses: list[float] = []
    for index in itertools.islice(order, table.steps):
        solution, value = training_step(cell.solver, problem, problem.train.pick(index))
        _check(value, solution.x)
        optimiser.step()
        losses.append(value.item())
    learned = {name: p.detach().cpu().tolist() for name, p in problem.operator.named_parameters()}
    return {"losses": losses, "learned": learned}


def _batches(count: int, size: int, seed: int):
    """Indices of batches, shuffled anew each epoch; every batch has ``size`` entries (or all there are)."""
    rng = torch.Generator().manual_seed(seed)
    while True:
        shuffled = torch.randperm(count, generator=rng)
        yield from (part for part in shuffled.split(size) if len(part) == min(size, count))


def _test(cell: Cell, problem: Instance, profile: Profile, out: Measured) -> None:
    table = profile.equilibrium
    batch = problem.test
    T = problem.bind(batch)
    with torch.no_grad():
        trained = cell.solver(T, batch.x0).x
        settled = Anderson(table.tol, table.budget)(T, batch.x0)
    out.values |= _scores("measurement", batch.y, batch.truth)
    out.values |= _scores("trained", trained, batch.truth)
    out.values |= _scores("equilibrium", settled.x, batch.truth)
    out.values |= {
        "equilibrium_residual": settled.report.residual,
        "equilibrium_applications": settled.report.applications,
        "equilibrium_converged": settled.report.converged,
    }
    shown = {"truth": batch.truth, "measurement": batch.y, "trained": trained, "equilibrium": settled.x}
    out.panels = {name: _picture(image[0]) for name, image in shown.items()}
    _check(trained, trained)


def _scores(name: str, x: Tensor, truth: Tensor) -> dict[str, object]:
    """PSNR in dB and SSIM of each image, against a peak of 1; float32 metrics on clipped images."""
    clipped = x.clamp(0, 1).float()
    metrics: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr": PSNR(max_pixel=1), "ssim": SSIM()}
    return {
        f"{metric}_{name}": compute(clipped, truth.float()).flatten().tolist()
        for metric, compute in metrics.items()
    }


def _picture(image: Tensor) -> Tensor:
    return (image.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def _check(value: Tensor, x: Tensor) -> None:
    if not bool(value.isfinite().all()) or not bool(x.isfinite().all()):
        raise _Stop("nan", "the iteration or its gradient is not finite")
    if float(x.detach().abs().max()) > WILD:
        raise _Stop("diverged", f"a value exceeds {WILD:g} times the peak of the images")
