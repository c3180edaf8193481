"""The gradient at the initial parameters against its reference, on several draws of the mask and the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from solvers import Solution

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..tasks import Batch, Problem, build_problem
from ..tasks.images import Images
from .hypergradient import ReferenceGradient
from .memory import peak_bytes, saved_bytes
from .reference_cache import cached_reference
from .training import TrainingStopped, check_finite, parameters, training_step

LARGEST = 1000
"""Numbers at most of a gradient or a parameter that stand in a record; the weights of networks do not."""


def first_batch(problem: Problem, profile: Profile) -> Batch:
    """The crops of the first training step, unshuffled."""
    return problem.train.select(torch.arange(profile.batch_size))


def gradient_quality(
    cell: Cell, problem: Problem, profile: Profile, images: Images, references: Path | None
) -> dict[str, object]:
    """Counts, memory and the gradient of the first draw, and errors of the gradient over all of them.

    An error moves twofold from one draw to another, so that one of them ranks nothing. A draw on which the iteration
    diverges, or ends in numbers that are not finite, has an infinite error.

    Args:
        cell, profile, images: what is measured.
        problem: its first draw.
        references: where cells share their reference gradients; ``None`` for nowhere.

    Raises:
        Stop: the first draw ended so.
    """
    batch = first_batch(problem, profile)
    solution, estimate, values = _first(cell, problem, batch)
    if not profile.oracle.budget:
        return values | _errors(_Errors(), solution) | {"oracle": "none was asked for"}
    seen = _Errors()
    for draw in range(profile.oracle.draws):
        exact = cached_reference(
            cell.task,
            images,
            profile.images.layout(),
            len(batch.y),
            cell.seed,
            profile.oracle.budget,
            references,
            draw,
            batch.y.device,
        )
        if isinstance(exact, str):
            seen.add(math.nan, math.nan, "no reference")
            return values | _errors(seen, solution) | {"oracle": exact}
        if draw:
            try:
                solution, estimate = _drawn(cell, profile, images, batch, draw)
            except TrainingStopped as stop:
                seen.add(math.inf, math.nan, stop.status)
                continue
        else:
            check_finite(estimate, estimate)
        seen.compare(estimate, exact, solution)
    return values | _errors(seen, solution) | {"oracle": "certified"} | _of(seen.references)


@dataclass(slots=True)
class _Errors:
    """What was found so far, a draw each."""

    errors: list[float] = field(default_factory=list[float])
    cosines: list[float] = field(default_factory=list[float])
    statuses: list[str] = field(default_factory=list[str])
    certified: list[float] = field(default_factory=list[float])
    rigorous: bool = True
    converged: bool = True
    references: list[ReferenceGradient] = field(default_factory=list[ReferenceGradient])

    def add(self, error: float, cosine: float, status: str) -> None:
        """One more."""
        self.errors.append(error)
        self.cosines.append(cosine)
        self.statuses.append(status)

    def compare(self, estimate: Tensor, exact: ReferenceGradient, solution: Solution) -> None:
        """One more that ended well."""
        size = torch.linalg.vector_norm(exact.gradient)
        error = float(torch.linalg.vector_norm(estimate - exact.gradient) / size)
        self.add(error, float(torch.nn.functional.cosine_similarity(estimate, exact.gradient, dim=0)), "ok")
        self.references.append(exact)
        self.converged &= solution.converged
        for found in solution.certificates[-1:]:
            self.certified.append(found.relative)
            self.rigorous &= found.rigorous


def _errors(seen: _Errors, solution: Solution) -> dict[str, object]:
    """Means over the draws, and the largest and the least; nan where one of them is not known."""
    known = bool(seen.errors) and not any(math.isnan(error) for error in seen.errors)
    values: dict[str, object] = {
        "hypergradient_errors": seen.errors,
        "hypergradient_draws": seen.statuses,
        "hypergradient_error": mean(seen.errors) if known else math.nan,
        "hypergradient_error_worst": max(seen.errors) if known else math.nan,
        "hypergradient_error_least": min(seen.errors) if known else math.nan,
        "hypergradient_cosine": mean(seen.cosines) if known else math.nan,
    }
    if seen.certified:
        # The largest, so that it stands above the largest error.
        values |= {
            "certified": max(seen.certified),
            "certified_errors": seen.certified,
            "rigorous": seen.rigorous,
        }
    elif solution.certificates:
        found = solution.certificates[-1]
        values |= {"certified": found.relative, "rigorous": found.rigorous}
    if seen.references:
        values["converged"] = seen.converged
    return values


def _of(references: list[ReferenceGradient]) -> dict[str, object]:
    """How good the references are: the worst of them."""
    return {
        "oracle_residual": max(one.residual for one in references),
        "oracle_adjoint_residual": max(one.adjoint_residual for one in references),
        "oracle_error": max(one.error for one in references),
        "oracle_basis": "; ".join(dict.fromkeys(one.basis for one in references)),
    }


def _first(cell: Cell, problem: Problem, batch: Batch) -> tuple[Solution, Tensor, dict[str, object]]:
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    problem.bind(batch)  # made ready before anything is counted
    with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
        solution, value = training_step(cell.solver, problem, batch, tape=saved)
    check_finite(value, solution.x)
    estimate = _gradient(problem)
    with torch.no_grad():
        x = solution.x.detach()
        image = problem.limit(batch)(x)
        residual = (torch.linalg.vector_norm(image - x) / torch.linalg.vector_norm(image)).item()
    values: dict[str, object] = {
        # In whole batches: what was done on a part of one counts as that part.
        "applications": solution.evaluations,
        "recorded": solution.taped_applications,
        "vjps": solution.products,
        "evaluations": solution.work,
        "calls": solution.applications,
        "converged": solution.converged,
        "residual": residual,
        "saved_bytes": saved.count,
        "gradient_norm": float(torch.linalg.vector_norm(estimate)),
        "gradient": estimate.tolist() if len(estimate) <= LARGEST else None,
    }
    # Only its counts are wanted from here on.
    ended = replace(solution, x=x)
    del solution, x, image, value
    # Gradients are a part of the peak: those of the first step must be gone before the second is measured.
    problem.operator.zero_grad(set_to_none=True)
    with peak_bytes(batch.y.device) as peak:
        training_step(cell.solver, problem, batch)
    return ended, estimate, values | {"peak_bytes": peak.count, "peak_requested_bytes": peak.requested}


def _drawn(cell: Cell, profile: Profile, images: Images, like: Batch, draw: int) -> tuple[Solution, Tensor]:
    problem = build_problem(
        cell.task,
        images,
        profile.images.layout(),
        cell.seed,
        dtype=like.y.dtype,
        device=like.y.device,
        execution=profile.execution,
        draw=draw,
    )
    solution, value = training_step(cell.solver, problem, first_batch(problem, profile))
    check_finite(value, solution.x)
    estimate = _gradient(problem)
    check_finite(estimate, estimate)
    return solution, estimate


def _gradient(problem: Problem) -> Tensor:
    grads = [p.grad for p in parameters(problem) if p.grad is not None]
    return torch.cat([g.flatten() for g in grads]).double().cpu()
