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
from .workspace import adjoint_vectors

LARGEST = 1000
"""Largest number of entries of a gradient or parameter that a record holds; weights of networks have more."""


def first_batch(problem: Problem, profile: Profile) -> Batch:
    """The crops of the first training step, unshuffled."""
    return problem.train.select(torch.arange(profile.batch_size))


def gradient_quality(
    cell: Cell, problem: Problem, profile: Profile, images: Images, references: Path | None
) -> dict[str, object]:
    """Measure counts, memory and the gradient on the first draw, and the error of the gradient on every draw.

    The error may change twofold between draws, so one draw cannot rank solvers. A further draw on which the iteration
    diverges or ends in NaN has an infinite error. ``problem`` is the first draw; ``references`` is the folder of shared
    reference gradients, if any.

    Raises:
        TrainingStopped: the first draw diverges or ends in NaN.
    """
    batch = first_batch(problem, profile)
    solution, estimate, values = _first_draw(cell, problem, batch)
    errors = _Errors()
    if not profile.oracle.budget:
        return values | errors.values(solution) | {"oracle": "none was asked for"}
    for draw in range(profile.oracle.draws):
        reference = cached_reference(
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
        if isinstance(reference, str):
            errors.add(math.nan, math.nan, "no reference")
            return values | errors.values(solution) | {"oracle": reference}
        if draw:
            try:
                solution, estimate = _further_draw(cell, profile, images, batch, draw)
            except TrainingStopped as stop:
                errors.add(math.inf, math.nan, stop.status)
                continue
        else:
            check_finite(estimate, estimate)
        errors.compare(estimate, reference, solution)
    return values | errors.values(solution) | {"oracle": "certified"} | errors.reference_values()


@dataclass(slots=True)
class _Errors:
    """Errors of the gradient, one entry a draw; ``certified`` and ``references`` only of draws that ended well."""

    errors: list[float] = field(default_factory=list[float])
    cosines: list[float] = field(default_factory=list[float])
    statuses: list[str] = field(default_factory=list[str])
    certified: list[float] = field(default_factory=list[float])
    rigorous: bool = True
    converged: bool = True
    references: list[ReferenceGradient] = field(default_factory=list[ReferenceGradient])

    def add(self, error: float, cosine: float, status: str) -> None:
        self.errors.append(error)
        self.cosines.append(cosine)
        self.statuses.append(status)

    def compare(self, estimate: Tensor, reference: ReferenceGradient, solution: Solution) -> None:
        exact = reference.gradient
        error = float(torch.linalg.vector_norm(estimate - exact) / torch.linalg.vector_norm(exact))
        self.add(error, float(torch.nn.functional.cosine_similarity(estimate, exact, dim=0)), "ok")
        self.references.append(reference)
        self.converged &= solution.converged
        for certificate in solution.certificates[-1:]:
            self.certified.append(certificate.relative)
            self.rigorous &= certificate.rigorous

    def values(self, solution: Solution) -> dict[str, object]:
        """Means over the draws, the largest and the least error; NaN if the error of a draw is unknown."""
        known = bool(self.errors) and not any(math.isnan(error) for error in self.errors)
        values: dict[str, object] = {
            "hypergradient_errors": self.errors,
            "hypergradient_draws": self.statuses,
            "hypergradient_error": mean(self.errors) if known else math.nan,
            "hypergradient_error_worst": max(self.errors) if known else math.nan,
            "hypergradient_error_least": min(self.errors) if known else math.nan,
            "hypergradient_cosine": mean(self.cosines) if known else math.nan,
        }
        if self.certified:
            # The largest bound, to be compared with the largest error.
            values |= {"certified": max(self.certified), "certified_errors": self.certified}
            values["rigorous"] = self.rigorous
        elif solution.certificates:
            certificate = solution.certificates[-1]
            values |= {"certified": certificate.relative, "rigorous": certificate.rigorous}
        if self.references:
            values["converged"] = self.converged
        return values

    def reference_values(self) -> dict[str, object]:
        """Accuracy of the worst reference."""
        return {
            "oracle_residual": max(reference.residual for reference in self.references),
            "oracle_adjoint_residual": max(reference.adjoint_residual for reference in self.references),
            "oracle_error": max(reference.error for reference in self.references),
            "oracle_basis": "; ".join(dict.fromkeys(reference.basis for reference in self.references)),
        }


def _first_draw(cell: Cell, problem: Problem, batch: Batch) -> tuple[Solution, Tensor, dict[str, object]]:
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    problem.bind(batch)  # compiles or captures on the first call, which must not be counted
    with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
        solution, value = training_step(cell.solver, problem, batch, tape=saved)
    check_finite(value, solution.x)
    estimate = _gradient(problem)
    with torch.no_grad():
        x = solution.x.detach()
        image = problem.limit(batch)(x)
        vectors = adjoint_vectors(cell.solver, problem.bind(batch), x)
        residual = (torch.linalg.vector_norm(image - x) / torch.linalg.vector_norm(image)).item()
    values: dict[str, object] = {
        # In whole batches: work on a share of the batch counts as that share.
        "applications": solution.evaluations,
        "recorded": solution.taped_applications,
        "vjps": solution.products,
        "evaluations": solution.work,
        "calls": solution.applications,
        "converged": solution.converged,
        "residual": residual,
        "saved_bytes": saved.count,
        "adjoint_vectors": vectors,
        "gradient_norm": float(torch.linalg.vector_norm(estimate)),
        "gradient": estimate.tolist() if len(estimate) <= LARGEST else None,
    }
    # The second step must start with the memory of the first: without its tape, state and gradients.
    counts = replace(solution, x=x)
    del solution, x, image, value
    problem.operator.zero_grad(set_to_none=True)
    with peak_bytes(batch.y.device) as peak:
        training_step(cell.solver, problem, batch)
    return counts, estimate, values | {"peak_bytes": peak.count, "peak_requested_bytes": peak.requested}


def _further_draw(
    cell: Cell, profile: Profile, images: Images, first: Batch, draw: int
) -> tuple[Solution, Tensor]:
    problem = build_problem(
        cell.task,
        images,
        profile.images.layout(),
        cell.seed,
        dtype=first.y.dtype,
        device=first.y.device,
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
