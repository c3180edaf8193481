"""Measure one cell: the gradient at the start, training, and images at depth, at the equilibrium and beyond."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from deepinv.loss.metric import PSNR, SSIM
from torch import Tensor

from solvers import Map, SupportsSelect

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..tasks import Batch, Problem, build_problem, shown
from ..tasks.images import Images
from ..tasks.volume_pictures import middle_slices
from ..utils.random_streams import stream_seed
from .equilibrium import LearnedEquilibrium, check_stability, find_equilibrium, residuals
from .gradient_draws import LARGEST, gradient_quality
from .jacobian_norm import jacobian_norm
from .past_depth import iterate_past
from .training import TrainingStopped, check_finite, train

PICTURED = 1
"""Index of the test image shown in reports, if there are two or more: the first packaged image is a plain texture."""


@dataclass(slots=True)
class CellResult:
    """Outcome of a cell; after a failure, ``values`` holds the measurements made before it.

    Attributes:
        status: ``ok``, ``nan`` or ``diverged``.
        reason: one line why the status is not ``ok``.
        values: numbers and lists of numbers.
        panels: pictures of the test image ``values["pictured"]``, ``(C, H, W)`` uint8, by name; of a volume,
            three slices.
        weights: learned weights of networks, by name.
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
    per_sample: bool = False,
    references: Path | None = None,
) -> CellResult:
    """Measure everything but seconds; without training steps, the gradient at the start alone.

    NaN and divergence are statuses of the result; other exceptions pass.

    Args:
        checkpoint: file of the state of a long training; ``None`` for none.
        per_sample: test one image after another: less memory, the same results up to rounding.
        references: folder of shared reference gradients; ``None`` for no sharing.
    """
    torch.set_num_threads(profile.threads)
    torch.manual_seed(stream_seed(cell.seed, "everything else"))
    dtype = getattr(torch, profile.dtype)
    layout = profile.images.layout()
    problem = build_problem(
        cell.task, images, layout, cell.seed, dtype=dtype, device=device, execution=profile.execution
    )
    result = CellResult()
    result.values |= {
        "contraction": problem.contraction,
        "spectrum_smallest": problem.spectrum.smallest,
        "spectrum_largest": problem.spectrum.largest,
        "spectrum_basis": problem.spectrum.basis.value,
    }
    try:
        result.values |= gradient_quality(cell, problem, profile, images, references)
        if not profile.training.steps:
            return result
        result.values |= train(
            cell, problem, profile.training, checkpoint, lambda: _test_psnr(cell, problem)
        ).values()
        learned = {n: p.detach().cpu() for n, p in problem.operator.named_parameters() if p.requires_grad}
        result.values["learned"] = {n: p.tolist() for n, p in learned.items() if p.numel() <= LARGEST}
        if problem.operator.network_weights():
            result.weights = learned
        _test(cell, problem, profile, result, per_sample)
    except TrainingStopped as stop:
        result.status, result.reason = stop.status, str(stop)
    return result


@dataclass(frozen=True, slots=True)
class SampleBySampleMap:
    """T applied to one sample after another: the same values, in the memory of one sample."""

    T: SupportsSelect

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        return torch.cat([self.select(torch.tensor([i]))(x[i : i + 1]) for i in range(len(x))])

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``, sample by sample if there are several."""
        selected = self.T.select(index)
        return _divided(selected, len(index) > 1)


def _divided(T: Map, per_sample: bool) -> Map:
    return SampleBySampleMap(T) if per_sample and isinstance(T, SupportsSelect) else T


def _test(cell: Cell, problem: Problem, profile: Profile, result: CellResult, per_sample: bool) -> None:
    """Add the measurements of the learned operator to ``result``."""
    table, batch, start = profile.equilibrium, problem.test, problem.start(problem.test)
    T, image = _divided(problem.limit(batch), per_sample), problem.image_of(batch)

    def score(state: Tensor) -> float:
        return float(_psnr(image(state), batch.truth).mean())

    with torch.no_grad():
        solution = cell.solver(_divided(problem.bind(batch), per_sample), start)
        past = iterate_past(T, start, solution.applications, score, table.max_applications)
        found = find_equilibrium(T, start, table, past)
        # The trained iteration is plain, and may leave an equilibrium that acceleration finds.
        stability = check_stability(T, found, score, table)
        sample_residuals = residuals(T, found.state)
        images = {"truth": batch.truth, "measurement": batch.picture()}
        images |= {"trained": image(solution.x), "equilibrium": image(found.state)}
    norm = jacobian_norm(T, found.state, per_sample=per_sample)
    pictures = {name: shown(value) for name, value in images.items()}
    for name in ("measurement", "trained", "equilibrium"):
        result.values[f"nrmse_{name}"] = _nrmse(images[name], batch.truth).tolist()
        for metric, compute in (("psnr", PSNR(max_pixel=1)), ("ssim", _ssim)):
            values = compute(pictures[name].clamp(0, 1).float(), pictures["truth"].float())
            result.values[f"{metric}_{name}"] = values.flatten().tolist()
    index = min(PICTURED, len(batch.truth) - 1)
    result.values |= {
        "equilibrium_residual": found.residual,
        "equilibrium_applications": found.applications,
        "equilibrium_converged": found.converged,
        "equilibrium_by": found.by,
        "equilibrium_stays": stability.stays,
        "equilibrium_plain_steps": stability.steps,
        "equilibrium_plain_residual": stability.residual,
        "equilibrium_plain_distance": stability.distance,
        "equilibrium_plain_psnr": stability.score,
        "past_depths": past.depths,
        "past_residuals": past.residuals,
        "past_psnr": past.scores,
        "stalls": past.stalls,
        "jacobian_norm": norm.value,
        "jacobian_norm_residual": norm.residual,
        "pictured": index,
        # Of the pictured image alone: samples converge independently.
        "panel_equilibrium_residual": float(sample_residuals[index]),
        "panel_equilibrium_converged": float(sample_residuals[index]) <= table.tol,
    }
    result.values |= _selection_values(cell, problem, profile, per_sample)
    result.panels = {name: _pixels(picture[index]) for name, picture in pictures.items()}
    check_finite(pictures["trained"], pictures["trained"])


def _selection_values(cell: Cell, problem: Problem, profile: Profile, per_sample: bool) -> dict[str, object]:
    """Values by which a solver may be chosen: on training and validation images, since test images must not choose."""
    batch = problem.train.select(torch.arange(len(problem.train.y))[: profile.equilibrium.train_images])
    found = _equilibrium_on(problem, batch, profile, per_sample)
    with torch.no_grad():
        values: dict[str, object] = {
            "training_loss_equilibrium": float(problem.loss(found.state, batch)),
            "training_equilibrium_residual": found.residual,
            "training_equilibrium_converged": found.converged,
        }
        if (batch := problem.validation) is None:
            return values
        image = problem.image_of(batch)
        solution = cell.solver(_divided(problem.bind(batch), per_sample), problem.start(batch))
        found = _equilibrium_on(problem, batch, profile, per_sample)
        return values | {
            "psnr_validation_trained": _psnr(image(solution.x), batch.truth).flatten().tolist(),
            "psnr_validation_equilibrium": _psnr(image(found.state), batch.truth).flatten().tolist(),
            "validation_equilibrium_residual": found.residual,
            "validation_equilibrium_converged": found.converged,
        }


def _equilibrium_on(problem: Problem, batch: Batch, profile: Profile, per_sample: bool) -> LearnedEquilibrium:
    T = _divided(problem.limit(batch), per_sample)
    return find_equilibrium(T, problem.start(batch), profile.equilibrium)


def _test_psnr(cell: Cell, problem: Problem) -> float:
    """Mean PSNR in dB of the solver's reconstructions of the test images."""
    batch = problem.test
    with torch.no_grad():
        state = cell.solver(problem.bind(batch), problem.start(batch)).x
        return float(_psnr(problem.image_of(batch)(state), batch.truth).mean())


def _psnr(image: Tensor, truth: Tensor) -> Tensor:
    """PSNR of each clipped image, of the magnitude of a complex one, in dB against a peak of 1."""
    return PSNR(max_pixel=1)(shown(image).clamp(0, 1).float(), shown(truth).float())


def _ssim(image: Tensor, truth: Tensor) -> Tensor:
    """SSIM of each image; of a volume ``(B, C, D, H, W)``, the mean over its slices across the first axis."""
    if image.ndim == 4:
        return SSIM()(image, truth)
    by_slice = SSIM()(*(volumes.transpose(1, 2).flatten(0, 1) for volumes in (image, truth)))
    return by_slice.view(len(image), -1).mean(1)


def _nrmse(image: Tensor, truth: Tensor) -> Tensor:
    """``‖x − truth‖ / ‖truth‖`` of each image, the phase of a complex one included."""
    return (image - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)


def _pixels(image: Tensor) -> Tensor:
    image = middle_slices(image) if image.ndim == 4 else image
    return (image.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
