"""How wrong the gradient of one training step is: what ``python -m bench certify`` shows."""

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
from ...measurement.hypergradient import ReferenceGradient
from ...measurement.reference_cache import cached_reference
from ...measurement.training import training_step
from ...tasks import Batch, Problem, build_problem
from ...tasks.images import Images
from ...utils.errors import UserError
from ...utils.json_values import finite
from ...utils.precision import disable_tf32
from ...utils.random_streams import stream_seed
from .certified_step import (
    HAIR,
    CertifiedStep,
    Constants,
    CountingMap,
    StepCost,
    Timed,
    flatten,
    known_constants,
    measured_constants,
    plain,
    take,
    timed_audit,
)

STEPS = 5
"""A step is timed as the median of as many."""


@dataclass(frozen=True, slots=True)
class CertifyOptions:
    """What is asked for.

    Attributes:
        estimate: measure the constants, even where the task knows them.
        audit: hold the gradient against a better, certified one.
        oracle: hold it against the float64 reference too.
    """

    estimate: bool = False
    audit: bool = True
    oracle: bool = False


@dataclass(frozen=True, slots=True)
class StepCertificate:
    """What is known of the gradient of one step.

    Attributes:
        gradient: its norm.
        applications, products, seconds: what the step cost.
        L: Lipschitz constant of T that is known in advance; nan if none is.
        refused: why there is no certificate at all, in a line; empty if there is one.
        certificate: the plain one, of what the tape left behind, or the solver's own; ``None`` for peers.
        counts: what it cost besides.
        own: whether the solver makes it by itself, within the step.
        unseen: why it is ``None``, though the audit is there.
        audit: with what it cost.
        error: the actual one, absolute; nan if nobody asked.
        exact: the norm of the exact gradient; nan likewise.
        exact_error: of the reference itself, relative: the actual error is known to that only; nan likewise.
        exact_basis: what that rests on: a certificate, or an estimate; empty likewise.
        no_oracle: why it is unknown, though somebody asked.
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
    audit: Timed | None = None
    error: float = math.nan
    exact: float = math.nan
    exact_error: float = math.nan
    exact_basis: str = ""
    no_oracle: str = ""


@disable_tf32()
def examine(
    cell: Cell,
    profile: Profile,
    images: Images,
    device: torch.device,
    wishes: CertifyOptions = CertifyOptions(),
) -> StepCertificate:
    """One training step at the initial parameters, on the first batch of a profile, and its certificates.

    Raises:
        UserError: every iteration of the operator has parameters of its own, so that it has no equilibrium.
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
    size = profile.batch_size
    batch = problem.train.select(torch.arange(size))
    T = problem.bind(batch)
    peer = isinstance(cell.solver, ExternalSolver)
    given = CountingMap(T, wishes.estimate)
    step = take(cell.solver, problem, batch, T if peer else given, watched=False)
    seen = not peer and step.own is None
    if seen:
        step = take(cell.solver, problem, batch, T)
    L = problem.contraction  # once: for a network it takes seconds
    found = StepCertificate(
        step.size,
        step.applications,
        step.products,
        _seconds(cell.solver, problem, batch),
        L,
        own=step.own is not None,
    )
    if wishes.oracle:
        found = _held(
            found, step, cached_reference(cell.task, images, layout, size, cell.seed, device=device)
        )
    if not wishes.estimate and (refused := _refused(problem, batch, L)):
        return replace(found, refused=refused)
    if peer:
        found = replace(found, unseen="a peer exchanges cotangents out of sight of a Watch: the audit alone")
    elif not seen:
        found = replace(found, certificate=step.own)
    else:
        watched = CountingMap(T, wishes.estimate)
        constants = _constants(watched, problem, batch, step)
        if not constants.regularity.L < 1:
            return replace(found, refused=f"no certificate: L = {constants.regularity.L:.6g} is not below 1")
        found = replace(found, certificate=plain(step, constants), counts=watched.counts)
    return replace(found, audit=timed_audit(problem, batch, step, wishes.estimate)) if wishes.audit else found


def _held(found: StepCertificate, step: CertifiedStep, exact: ReferenceGradient | str) -> StepCertificate:
    """With the actual error, or why there is none."""
    if isinstance(exact, str):
        return replace(found, no_oracle=exact)
    gap = flatten(step.gradient).double().cpu() - exact.gradient
    return replace(
        found,
        error=float(torch.linalg.vector_norm(gap)),
        exact=float(torch.linalg.vector_norm(exact.gradient)),
        exact_error=exact.error,
        exact_basis=exact.basis,
    )


def _constants(watched: CountingMap, problem: Problem, batch: Batch, step: CertifiedStep) -> Constants:
    given = known_constants(watched, problem.criterion(batch))
    return measured_constants(watched, problem, batch, step) if isinstance(given, str) else given


def _refused(problem: Problem, batch: Batch, L: float) -> str:
    """Why no certificate can be made of what is known in advance; empty if one can."""
    if L >= 1 - HAIR:
        return f"no certificate: L = {L:.6g} is not below 1"
    given = known_constants(problem.bind(batch), problem.criterion(batch))
    return f"no certificate: {given}" if isinstance(given, str) else ""


def _seconds(solver: Solver | ExternalSolver, problem: Problem, batch: Batch) -> float:
    seconds: list[float] = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        training_step(solver, problem, batch)
        if batch.y.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def to_frame(found: StepCertificate, title: str) -> pd.DataFrame:
    """For people: two columns, of which the second is headed by ``title``."""
    rows = [("gradient, norm", f"{found.gradient:.4g}"), ("step", _work(found.applications, found.products))]
    if found.refused:
        rows.append(("certificate", found.refused))
    if found.unseen:
        rows.append(("certificate", found.unseen))
    if found.certificate is not None:
        rows += _plain_rows(found, found.certificate)
    if found.audit is not None:
        rows += _audit_rows(found, found.audit)
    if not math.isnan(found.error):
        own = found.exact_error * found.exact
        known = found.error > own  # otherwise the reference cannot tell it
        actual = _percent(found.error / found.exact) if known else f"below {_percent(found.exact_error)}"
        rows.append(("actual error, relative", actual))
        rows.append(("  the reference's own", f"{_percent(found.exact_error)} by {found.exact_basis}"))
        rows += [
            (f"{name} / actual error", f"{c.error / found.error:.3g}")
            for name, c in (("certificate", found.certificate), ("audit", found.audit and found.audit.found))
            if c is not None and known
        ]
    if found.no_oracle:
        rows.append(("actual error", f"unknown: {found.no_oracle}"))
    return pd.DataFrame(rows, columns=["", title])


def _plain_rows(found: StepCertificate, made: Certificate) -> list[tuple[str, str]]:
    rows = [
        ("certificate, absolute", f"{made.error:.3g}"),
        ("  of the adjoint equation", f"{made.adjoint:.3g}"),
        ("  of the equilibrium", f"{made.equilibrium:.3g}"),
        ("certificate, relative", _percent(made.relative)),
        ("cosine at least", f"{made.cosine:.4f}"),
        ("L", f"{made.L:.6g}"),
        ("kind", "rigorous" if made.rigorous else f"estimate: {made.why}"),
    ]
    if found.own:
        rows.append(("cost of the certificate", "in the step: the solver makes it itself"))
    if found.counts is not None:
        rows.append(("cost of the certificate", _cost(found.counts)))
    return rows


def _audit_rows(found: StepCertificate, audit: Timed) -> list[tuple[str, str]]:
    made = audit.found
    least, most = made.least / (made.size + made.adjoint + made.equilibrium), made.relative
    rows = [
        ("audit: distance to a better gradient", f"{made.correction:.3g}"),
        ("audit: error, relative", f"{_percent(least)} to {_percent(most)}"),
        ("audit: cosine at least", f"{made.cosine:.4f}"),
        ("audit: cost", f"{_cost(audit.counts)}: {audit.seconds / found.seconds:.2g} of a step"),
    ]
    if not made.rigorous:
        rows.append(("audit: kind", f"estimate: {made.why}; L = {made.L:.6g}"))
    return rows


def _work(applications: float, products: float) -> str:
    return f"{applications:g} applications + {products:g} products"


def _cost(counts: StepCost) -> str:
    return f"{_work(counts.applications, counts.products)} + {counts.looks} looks at T's regularity"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if math.isfinite(value) else "no bound"


def certificate_json(found: StepCertificate, cell: Cell, wishes: CertifyOptions) -> str:
    """For programs: one object on one line; ``null`` where a number is not finite or there is none."""
    table = {"task": cell.task.label, "solver": cell.solver.label, "seed": cell.seed} | asdict(wishes)
    for name, made in (("certificate", found.certificate), ("audit", found.audit and found.audit.found)):
        table[f"{name}_bounds"] = None if made is None else _bounds(made)
    return json.dumps(finite(table | asdict(found)), ensure_ascii=False)


def _bounds(made: Certificate) -> dict[str, float]:
    return {name: getattr(made, name) for name in ("error", "least", "relative", "cosine")}
