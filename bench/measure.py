"""What is measured of one cell: the gradient at the start, training, and images at depth, at equilibrium and beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from deepinv.loss.metric import PSNR, SSIM
from torch import Tensor

from solvers import Anderson, Divisible, Map, Solution

from .beyond import iterate_past
from .images import Images
from .lipschitz import jacobian_norm
from .matrix import Cell, Profile
from .memory import peak_bytes, saved_bytes
from .reference import reference
from .streams import number
from .tasks import Batch, Instance, instance
from .training import Stop, check, parameters, train, training_step

LARGEST = 1000
"""Numbers at most of a gradient or a parameter that stand in a record; the weights of networks do not."""
PICTURED = 1
"""The test image that is shown, where there are so many: the packaged ones begin with a cloth."""


@dataclass(slots=True)
class Measured:
    """Outcome of a cell. ``values`` holds what was measured before things went wrong, if they did.

    Attributes:
        status: ``ok``, ``nan`` or ``diverged``.
        reason: in a line, why it is not ``ok``.
        values: numbers and lists of numbers.
        panels: pictures of one test image (number ``pictured`` of the values), ``(C, H, W)`` uint8, by name.
        weights: the learned weights of a network, by name; empty where no network learned.
    """

    status: str = "ok"
    reason: str = ""
    values: dict[str, object] = field(default_factory=dict)
    panels: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


def measure(
    cell: Cell,
    profile: Profile,
    images: Images,
    device: torch.device,
    checkpoint: Path | None = None,
    alone: bool = False,
    references: Path | None = None,
) -> Measured:
    """Measure everything but seconds. In a profile without training there is no learned operator to test.

    The equilibrium of the learned operator is the one that Anderson acceleration finds; where it finds none, it is
    the point of the smaller residual of the two where Anderson and plain iteration ended.

    A NaN or a divergence is an outcome, not an exception; other exceptions pass.

    Args:
        cell, profile, images, device: what, how, on what and where.
        checkpoint: where a long training stores its state; ``None`` for nowhere.
        references: where cells share their reference gradients; ``None`` for nowhere.
        alone: test one image after another, which takes less memory and changes no result but by rounding.
    """
    torch.set_num_threads(profile.threads)
    torch.manual_seed(number(cell.seed, "everything else"))
    dtype = getattr(torch, profile.dtype)
    layout = profile.images.layout()
    problem = instance(cell.task, images, layout, cell.seed, dtype=dtype, device=device, applied=profile.step)
    first = problem.train.pick(torch.arange(min(profile.training.batch, profile.images.train)))
    out = Measured()
    out.values["contraction"] = problem.contraction
    try:
        out.values |= _gradient_quality(cell, problem, first, profile, images, references)
        if not profile.training.steps:
            return out
        out.values |= train(
            cell, problem, profile.training, checkpoint, lambda: _look(cell, problem)
        ).values()
        learned = {n: p.detach().cpu() for n, p in problem.operator.named_parameters() if p.requires_grad}
        out.values["learned"] = {n: p.tolist() for n, p in learned.items() if p.numel() <= LARGEST}
        if problem.operator.networks():
            out.weights = learned
        _test(cell, problem, profile, out, alone)
    except Stop as stop:
        out.status, out.reason = stop.status, str(stop)
    return out


def _gradient_quality(
    cell: Cell,
    problem: Instance,
    batch: Batch,
    profile: Profile,
    images: Images,
    references: Path | None,
) -> dict[str, object]:
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    device = batch.y.device
    with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
        solution, value = training_step(cell.solver, problem, batch)
    check(value, solution.x)
    grads = [p.grad for p in parameters(problem) if p.grad is not None]
    estimate = torch.cat([g.flatten() for g in grads]).double().cpu()
    with torch.no_grad():
        x = solution.x.detach()
        image = problem.limit(batch)(x)
        residual = (torch.linalg.vector_norm(image - x) / torch.linalg.vector_norm(image)).item()
    values: dict[str, object] = {
        "applications": solution.applications,
        "recorded": solution.recorded,
        "vjps": solution.vjps,
        "evaluations": evaluations(solution),
        "converged": solution.converged,
        "residual": residual,
        "saved_bytes": saved.count,
        "gradient_norm": float(torch.linalg.vector_norm(estimate)),
        "gradient": estimate.tolist() if len(estimate) <= LARGEST else None,
    }
    if solution.certificates:
        found = solution.certificates[-1]
        values |= {"certified": found.relative, "rigorous": found.rigorous}
    del solution, value, x, image, grads
    with peak_bytes(device) as peak:
        training_step(cell.solver, problem, batch)
    values["peak_bytes"] = peak.count
    unknown: dict[str, object] = {"hypergradient_error": math.nan, "hypergradient_cosine": math.nan}
    if not profile.oracle.budget:
        return values | unknown | {"oracle": "none was asked for"}
    exact = reference(
        cell.task,
        images,
        profile.images.layout(),
        len(batch.y),
        cell.seed,
        profile.oracle.budget,
        references,
    )
    if isinstance(exact, str):
        return values | unknown | {"oracle": exact}
    check(estimate, estimate)
    size = torch.linalg.vector_norm(exact.gradient)
    return values | {
        "hypergradient_error": float(torch.linalg.vector_norm(estimate - exact.gradient) / size),
        "hypergradient_cosine": float(torch.nn.functional.cosine_similarity(estimate, exact.gradient, dim=0)),
        "oracle": "certified",
        "oracle_residual": exact.residual,
        "oracle_adjoint_residual": exact.adjoint_residual,
    }


def evaluations(solution: Solution) -> float:
    """Applications of T and adjoint products, each counted as the share of the batch that it was made on.

    Call it after ``backward()``. Applications on the tape count once, and their products not at all.
    """
    solves = (solution.reached, *solution.adjoint)
    return solution.recorded + sum(solve.evaluations for solve in solves)


def _psnr(image: Tensor, truth: Tensor) -> Tensor:
    """In dB against a peak of 1, of each clipped image."""
    return PSNR(max_pixel=1)(_shown(image), truth.float())


def _look(cell: Cell, problem: Instance) -> float:
    """PSNR in dB of the solver's own reconstructions of the test images, on average."""
    batch = problem.test
    with torch.no_grad():
        state = cell.solver(problem.bind(batch), problem.start(batch)).x
        return float(_psnr(problem.operator.image(state), batch.truth).mean())


@dataclass(frozen=True, slots=True)
class Apart:
    """A map applied to one sample after another: the same values, in the memory of one.

    Attributes:
        T: the map.
    """

    T: Divisible

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        return torch.cat([self.pick(torch.tensor([i]))(x[i : i + 1]) for i in range(len(x))])

    def pick(self, index: Tensor) -> Map:
        """The map of the samples at ``index``; apart, where there are several."""
        picked = self.T.pick(index)
        return Apart(picked) if len(index) > 1 and isinstance(picked, Divisible) else picked


def _test(cell: Cell, problem: Instance, profile: Profile, out: Measured, alone: bool) -> None:
    table = profile.equilibrium
    batch, start = problem.test, problem.start(problem.test)
    trains, T, image = problem.bind(batch), problem.limit(batch), problem.operator.image
    if alone:
        trains, T = (Apart(m) if isinstance(m, Divisible) else m for m in (trains, T))

    def score(state: Tensor) -> float:
        return float(_psnr(image(state), batch.truth).mean())

    with torch.no_grad():
        solved = cell.solver(trains, start)
        trained = image(solved.x)
        settled = Anderson(table.tol, table.budget)(T, start)
        past = iterate_past(T, start, solved.applications, score, table.longest)
        # Where T is no contraction, one of the two may find an equilibrium and the other none.
        plain = past.state is not None and past.residual < settled.report.residual > table.tol
        where = past.state if plain and past.state is not None else settled.x
        equilibrium = image(where)
    norm = jacobian_norm(T, where, apart=alone)
    out.values |= _scores("measurement", batch.y, batch.truth)
    out.values |= _scores("trained", trained, batch.truth)
    out.values |= _scores("equilibrium", equilibrium, batch.truth)
    out.values |= {
        "equilibrium_residual": past.residual if plain else settled.report.residual,
        "equilibrium_applications": settled.report.applications,
        "equilibrium_converged": settled.report.converged,
        "equilibrium_by": "plain iteration" if plain else "Anderson acceleration",
        "past_depths": past.depths,
        "past_residuals": past.residuals,
        "past_psnr": past.scores,
        "stalls": past.stalls,
        "jacobian_norm": norm.value,
        "jacobian_norm_residual": norm.residual,
    }
    shown = {"truth": batch.truth, "measurement": batch.y, "trained": trained, "equilibrium": equilibrium}
    at = min(PICTURED, len(batch.truth) - 1)
    out.values["pictured"] = at
    out.panels = {name: _picture(picture[at]) for name, picture in shown.items()}
    check(trained, trained)


def _scores(name: str, x: Tensor, truth: Tensor) -> dict[str, object]:
    """PSNR in dB and SSIM of each image, against a peak of 1; float32 metrics on clipped images."""
    metrics: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr": PSNR(max_pixel=1), "ssim": SSIM()}
    return {
        f"{metric}_{name}": compute(_shown(x), truth.float()).flatten().tolist()
        for metric, compute in metrics.items()
    }


def _shown(x: Tensor) -> Tensor:
    return x.clamp(0, 1).float()


def _picture(image: Tensor) -> Tensor:
    return (image.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
