"""How wrong the gradient of one training step is: the command ``python -m bench certify``."""

# The stubs of pandas do not know the types of columns.
# pyright: reportArgumentType=false
from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from statistics import median

import pandas as pd
import torch

from solvers import Certificate, Solver

from ...config.matrix import Cell
from ...config.profile_schema import Profile
from ...external import ExternalSolver
from ...measurement.gradient_draws import first_batch
from ...measurement.hypergradient import ReferenceGradient
from ...measurement.reference_cache import cached_reference
from ...measurement.training import training_step
from ...tasks import Batch, Problem, build_problem
from ...tasks.images import Images
from ...utils.errors import UserError
from ...utils.json_values import finite
from ...utils.precision import disable_tf32
from ...utils.random_streams import stream_seed
from ..gradients import flatten, l2_norm
from .certified_step import (
    L_ROUNDING,
    CertifiedStep,
    CountingMap,
    StepCost,
    TimedAudit,
    known_constants,
    step_constants,
    take_step,
    tape_certificate,
    timed_audit,
)

STEPS = 5
"""Steps whose median duration is reported."""


@dataclass(frozen=True, slots=True)
class CertifyOptions:
    """Options of the command.

    Attributes:
        estimate: measure the constants, even if the task states them.
        audit: compare the gradient with a better, certified one.
        oracle: compare it with the float64 reference as well.
        sharp: error of that better gradient, as a part of its distance to this one; in (0, 1].
    """

    estimate: bool = False
    audit: bool = True
    oracle: bool = False
    sharp: float = 0.1


@dataclass(frozen=True, slots=True)
class StepCertificate:
    """The gradient of one step, its cost, its certificates and its actual error.

    Attributes:
        gradient: its norm.
        applications, products, seconds: cost of the step.
        L: Lipschitz constant of T that is known in advance; nan if none is.
        refused: why there is no certificate at all, in one line; empty if there is one.
        certificate: from the tape, or the solver's own; ``None`` for external solvers.
        counts: cost of the certificate beside the step.
        own: whether the solver certifies itself, within the step.
        unseen: why ``certificate`` is ``None`` although there is an audit.
        audit: with its cost.
        error, exact: norm of the actual error, and of the exact gradient; nan without ``oracle``.
        exact_error: relative error of the reference, below which the actual error is unknown; nan without ``oracle``.
        exact_basis: ``certificate`` or ``estimate``, of ``exact_error``; empty without ``oracle``.
        no_oracle: why the actual error is unknown although ``oracle`` is set.
    """

    gradient: float
    applications: float
    products: float
    seconds: float
    L: float
    refused: str = ""
    certificate: Certificate | None = None
    counts: StepCost | None = None
    own: bool = False
    unseen: str = ""
    audit: TimedAudit | None = None
    error: float = math.nan
    exact: float = math.nan
    exact_error: float = math.nan
    exact_basis: str = ""
    no_oracle: str = ""

    @property
    def certificates(self) -> dict[str, Certificate | None]:
        """The certificate and that of the audit, by name."""
        return {"certificate": self.certificate, "audit": self.audit and self.audit.found}


@disable_tf32()
def examine(
    cell: Cell,
    profile: Profile,
    images: Images,
    device: torch.device,
    options: CertifyOptions = CertifyOptions(),
) -> StepCertificate:
    """One training step at the initial parameters, on the first batch of a profile, and its certificates.

    Raises:
        UserError: each iteration of the operator has parameters of its own, so that it has no equilibrium.
    """
    if cell.task.prior.layers:
        raise UserError(
            f"{cell.task.label} has parameters of its own for each layer: it has no equilibrium to certify"
        )
    torch.set_num_threads(profile.threads)
    torch.manual_seed(stream_seed(cell.seed, "everything else"))
    layout = profile.images.layout()
    dtype = getattr(torch, profile.dtype)
    problem = build_problem(cell.task, images, layout, cell.seed, dtype=dtype, device=device)
    batch = first_batch(problem, profile)
    T = problem.bind(batch)
    external = isinstance(cell.solver, ExternalSolver)
    T_given = T if external else CountingMap(T, options.estimate)
    step = take_step(cell.solver, problem, batch, T_given, record=False)
    recordable = not external and step.own is None
    if recordable:
        step = take_step(cell.solver, problem, batch, T)
    L = problem.contraction  # once: for a network it takes seconds
    seconds = _seconds(cell.solver, problem, batch)
    result = StepCertificate(
        step.size, step.applications, step.products, seconds, L, own=step.own is not None
    )
    if options.oracle:
        size = len(batch.y)
        exact = cached_reference(cell.task, images, layout, size, cell.seed, device=device)
        result = _with_error(result, step, exact)
    if not options.estimate and (refused := _refused(problem, batch, L)):
        return replace(result, refused=refused)
    if external:
        result = replace(
            result, unseen="the cotangents of an external solver cannot be recorded: the audit alone"
        )
    elif not recordable:
        result = replace(result, certificate=step.own)
    else:
        counted = CountingMap(T, options.estimate)
        constants = step_constants(counted, problem, batch, step)
        if not constants.regularity.L < 1:
            return replace(result, refused=_not_below_one(constants.regularity.L))
        certificate = tape_certificate(step, constants)
        result = replace(result, certificate=certificate, counts=counted.counts)
    if options.audit:
        result = replace(result, audit=timed_audit(problem, batch, step, options.estimate, options.sharp))
    return result


def _with_error(
    result: StepCertificate, step: CertifiedStep, exact: ReferenceGradient | str
) -> StepCertificate:
    """The result with the actual error, or with the reason why it is unknown."""
    if isinstance(exact, str):
        return replace(result, no_oracle=exact)
    return replace(
        result,
        error=l2_norm(flatten(step.gradient).double().cpu() - exact.gradient),
        exact=l2_norm(exact.gradient),
        exact_error=exact.error,
        exact_basis=exact.basis,
    )


def _refused(problem: Problem, batch: Batch, L: float) -> str:
    """Why the constants known in advance allow no certificate; empty if they allow one."""
    if L >= 1 - L_ROUNDING:
        return _not_below_one(L)
    constants = known_constants(problem.bind(batch), problem.criterion(batch))
    return f"no certificate: {constants}" if isinstance(constants, str) else ""


def _not_below_one(L: float) -> str:
    return f"no certificate: L = {L:.6g} is not below 1"


def _seconds(solver: Solver | ExternalSolver, problem: Problem, batch: Batch) -> float:
    seconds: list[float] = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        training_step(solver, problem, batch)
        if batch.y.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def to_frame(result: StepCertificate, title: str) -> pd.DataFrame:
    """For people: two columns, the second headed by ``title``."""
    rows = [
        ("gradient, norm", f"{result.gradient:.4g}"),
        ("step", _work(result.applications, result.products)),
    ]
    rows += [("certificate", reason) for reason in (result.refused, result.unseen) if reason]
    if result.certificate is not None:
        rows += _certificate_rows(result, result.certificate)
    if result.audit is not None:
        rows += _audit_rows(result, result.audit)
    if not math.isnan(result.error):
        known = result.error > result.exact_error * result.exact
        actual = _percent(result.error / result.exact) if known else f"below {_percent(result.exact_error)}"
        rows.append(("actual error, relative", actual))
        rows.append(("  the reference's own", f"{_percent(result.exact_error)} by {result.exact_basis}"))
        rows += [
            (f"{name} / actual error", f"{bound.error / result.error:.3g}")
            for name, bound in result.certificates.items()
            if bound is not None and known
        ]
    if result.no_oracle:
        rows.append(("actual error", f"unknown: {result.no_oracle}"))
    return pd.DataFrame(rows, columns=["", title])


def _certificate_rows(result: StepCertificate, bound: Certificate) -> list[tuple[str, str]]:
    rows = [
        ("certificate, absolute", f"{bound.error:.3g}"),
        ("  of the adjoint equation", f"{bound.adjoint:.3g}"),
        ("  of the equilibrium", f"{bound.equilibrium:.3g}"),
        ("certificate, relative", _percent(bound.relative)),
        ("cosine at least", f"{bound.cosine:.4f}"),
        ("L", f"{bound.L:.6g}"),
        ("kind", "rigorous" if bound.rigorous else f"estimate: {bound.why}"),
    ]
    if result.own:
        rows.append(("cost of the certificate", "in the step: the solver makes it itself"))
    if result.counts is not None:
        rows.append(("cost of the certificate", _cost(result.counts)))
    return rows


def _audit_rows(result: StepCertificate, audit: TimedAudit) -> list[tuple[str, str]]:
    bound = audit.found
    least, most = bound.least / (bound.size + bound.adjoint + bound.equilibrium), bound.relative
    rows = [
        ("audit: distance to a better gradient", f"{bound.correction:.3g}"),
        ("audit: error, relative", f"{_percent(least)} to {_percent(most)}"),
        ("audit: cosine at least", f"{bound.cosine:.4f}"),
        ("audit: cost", f"{_cost(audit.counts)}: {audit.seconds / result.seconds:.2g} of a step"),
    ]
    if not bound.rigorous:
        rows.append(("audit: kind", f"estimate: {bound.why}; L = {bound.L:.6g}"))
    return rows


def _work(applications: float, products: float) -> str:
    return f"{applications:g} applications + {products:g} products"


def _cost(counts: StepCost) -> str:
    return f"{_work(counts.applications, counts.products)} + {counts.looks} looks at T's regularity"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if math.isfinite(value) else "no bound"


def certificate_json(result: StepCertificate, cell: Cell, options: CertifyOptions) -> str:
    """For programs: one object on one line; ``null`` for numbers that are missing or not finite."""
    table = {"task": cell.task.label, "solver": cell.solver.label, "seed": cell.seed} | asdict(options)
    for name, bound in result.certificates.items():
        numbers = ("error", "least", "relative", "cosine")
        table[f"{name}_bounds"] = bound and {number: getattr(bound, number) for number in numbers}
    return json.dumps(finite(table | asdict(result)), ensure_ascii=False)
