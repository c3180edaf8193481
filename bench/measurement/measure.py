"""What is measured of one cell: the gradient at the start, training, and images at depth, at equilibrium and beyond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from deepinv.loss.metric import PSNR, SSIM
from torch import Tensor

from solvers import Map, SupportsSelect

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..tasks import Batch, Problem, build_problem
from ..tasks.images import Images
from ..utils.random_streams import stream_seed
from .equilibrium import residuals, settle, stay
from .gradient_draws import LARGEST, gradient_quality
from .jacobian_norm import jacobian_norm
from .past_depth import iterate_past
from .training import TrainingStopped, check_finite, train

PICTURED = 1
"""The test image that is shown, where there are so many: the packaged ones begin with a cloth."""


@dataclass(slots=True)
class CellResult:
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
) -> CellResult:
    """Measure everything but seconds. In a profile without training there is no learned operator to test.

    The equilibrium of the learned operator is the one that Anderson acceleration finds; where it finds none, it is
    the point of the smaller residual of the two where Anderson and plain iteration ended. Plain iteration goes on from
    there, for it may leave what acceleration found.

    A NaN or a divergence is an outcome, not an exception; other exceptions pass.

    Args:
        cell, profile, images, device: what, how, on what and where.
        checkpoint: where a long training stores its state; ``None`` for nowhere.
        references: where cells share their reference gradients; ``None`` for nowhere.
        alone: test one image after another, which takes less memory and changes no result but by rounding.
    """
    torch.set_num_threads(profile.threads)
    torch.manual_seed(stream_seed(cell.seed, "everything else"))
    dtype = getattr(torch, profile.dtype)
    layout = profile.images.layout()
    problem = build_problem(
        cell.task, images, layout, cell.seed, dtype=dtype, device=device, execution=profile.execution
    )
    out = CellResult()
    out.values["contraction"] = problem.contraction
    try:
        out.values |= gradient_quality(cell, problem, profile, images, references)
        if not profile.training.steps:
            return out
        out.values |= train(
            cell, problem, profile.training, checkpoint, lambda: _look(cell, problem)
        ).values()
        learned = {n: p.detach().cpu() for n, p in problem.operator.named_parameters() if p.requires_grad}
        out.values["learned"] = {n: p.tolist() for n, p in learned.items() if p.numel() <= LARGEST}
        if problem.operator.network_weights():
            out.weights = learned
        _test(cell, problem, profile, out, alone)
    except TrainingStopped as stop:
        out.status, out.reason = stop.status, str(stop)
    return out


def _psnr(image: Tensor, truth: Tensor) -> Tensor:
    """In dB against a peak of 1, of each clipped image."""
    return PSNR(max_pixel=1)(_shown(image), truth.float())


def _look(cell: Cell, problem: Problem) -> float:
    """PSNR in dB of the solver's own reconstructions of the test images, on average."""
    batch = problem.test
    with torch.no_grad():
        state = cell.solver(problem.bind(batch), problem.start(batch)).x
        return float(_psnr(problem.operator.image(state), batch.truth).mean())


@dataclass(frozen=True, slots=True)
class SampleBySampleMap:
    """A map applied to one sample after another: the same values, in the memory of one.

    Attributes:
        T: the map.
    """

    T: SupportsSelect

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        return torch.cat([self.select(torch.tensor([i]))(x[i : i + 1]) for i in range(len(x))])

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``; apart, where there are several."""
        picked = self.T.select(index)
        return SampleBySampleMap(picked) if len(index) > 1 and isinstance(picked, SupportsSelect) else picked


def _test(cell: Cell, problem: Problem, profile: Profile, out: CellResult, alone: bool) -> None:
    table, batch, start = profile.equilibrium, problem.test, problem.start(problem.test)
    T, image = _limit(problem, batch, alone), problem.operator.image

    def score(state: Tensor) -> float:
        return float(_psnr(image(state), batch.truth).mean())

    with torch.no_grad():
        solved = cell.solver(_apart(problem.bind(batch), alone), start)
        trained = image(solved.x)
        past = iterate_past(T, start, solved.applications, score, table.max_applications)
        found = settle(T, start, table, past)
        equilibrium = image(found.state)
        stays = stay(T, found, score, table)
        gaps = residuals(T, found.state)
    norm = jacobian_norm(T, found.state, apart=alone)
    out.values |= _scores("measurement", batch.y, batch.truth)
    out.values |= _scores("trained", trained, batch.truth)
    out.values |= _scores("equilibrium", equilibrium, batch.truth)
    at = min(PICTURED, len(batch.truth) - 1)
    out.values |= {
        "equilibrium_residual": found.residual,
        "equilibrium_applications": found.applications,
        "equilibrium_converged": found.converged,
        "equilibrium_by": found.by,
        "equilibrium_stays": stays.stays,
        "equilibrium_plain_steps": stays.steps,
        "equilibrium_plain_residual": stays.residual,
        "equilibrium_plain_distance": stays.distance,
        "equilibrium_plain_psnr": stays.score,
        "past_depths": past.depths,
        "past_residuals": past.residuals,
        "past_psnr": past.scores,
        "stalls": past.stalls,
        "jacobian_norm": norm.value,
        "jacobian_norm_residual": norm.residual,
        "pictured": at,
        # The picture is of one image, which may have settled or not, whatever the others did.
        "panel_equilibrium_residual": float(gaps[at]),
        "panel_equilibrium_converged": float(gaps[at]) <= table.tol,
    }
    out.values |= _elsewhere(cell, problem, profile, alone)
    shown = {"truth": batch.truth, "measurement": batch.y, "trained": trained, "equilibrium": equilibrium}
    out.panels = {name: _picture(picture[at]) for name, picture in shown.items()}
    check_finite(trained, trained)


def _elsewhere(cell: Cell, problem: Problem, profile: Profile, alone: bool) -> dict[str, object]:
    """The learned operator on the images that chose it, and on those that may choose among operators.

    What is best on the test images must not be chosen on them: a solver is chosen by its training loss at the
    equilibrium, or by PSNR on the validation images.
    """
    learnt = problem.train.select(torch.arange(len(problem.train.y))[: profile.equilibrium.train_images])
    found = settle(_limit(problem, learnt, alone), problem.start(learnt), profile.equilibrium)
    with torch.no_grad():
        values: dict[str, object] = {
            "training_loss_equilibrium": float(problem.loss(found.state, learnt)),
            "training_equilibrium_residual": found.residual,
            "training_equilibrium_converged": found.converged,
        }
        batch = problem.validation
        if batch is None:
            return values
        start, image = problem.start(batch), problem.operator.image
        solved = cell.solver(_apart(problem.bind(batch), alone), start)
        found = settle(_limit(problem, batch, alone), start, profile.equilibrium)
        return values | {
            "psnr_validation_trained": _psnr(image(solved.x), batch.truth).flatten().tolist(),
            "psnr_validation_equilibrium": _psnr(image(found.state), batch.truth).flatten().tolist(),
            "validation_equilibrium_residual": found.residual,
            "validation_equilibrium_converged": found.converged,
        }


def _limit(problem: Problem, batch: Batch, alone: bool) -> Map:
    return _apart(problem.limit(batch), alone)


def _apart(T: Map, alone: bool) -> Map:
    return SampleBySampleMap(T) if alone and isinstance(T, SupportsSelect) else T


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
