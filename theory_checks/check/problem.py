"""Check a user's task or prior on crops of real photographs, in float64."""

from __future__ import annotations

import functools
import math

from bench.config.user_files import check_portable
from bench.operators import Prior
from bench.penalties import Penalty
from bench.tasks import Task
from bench.tasks.deblurring import GaussianBlur
from bench.tasks.denoising import STEP, Identity
from bench.tasks.inpainting import LostPixels
from bench.utils.errors import UserError

from ..instances import Case
from ..operators.benchmark_operator import benchmark_case, crop_case, crop_map
from ..operators.operator_claims import ARGUMENTS, WITH_REGULARITY, check_operator_claims
from ..operators.user_operator import LARGEST
from .crops import build_task
from .operator_checks import OPERATOR_CHECKS
from .outcome import NOTE, CheckOutcome, Note, claim_outcome, merge_notes, require, run_check
from .task_checks import TASK_CHECKS


def check_prior(prior: Prior) -> list[CheckOutcome]:
    """Check a prior in three tasks: denoising, deblurring and inpainting."""
    tasks = [
        Task(f"denoising({prior.label})", Identity(), (0.1,), prior, STEP),
        Task(f"deblurring({prior.label})", GaussianBlur(1.5), (0.02,), prior, 1.0),
        Task(f"inpainting({prior.label})", LostPixels(0.5), (0.05,), prior, 1.0),
    ]
    outcomes = [run_check("can_be_sent", functools.partial(check_portable, prior, "it", ()))]
    for task in tasks:
        outcomes += [_name_task(task, outcome) for outcome in _check_operator(task)]
    return outcomes


def check_task(task: Task) -> list[CheckOutcome]:
    """Check the physics of a task, and its operator."""
    portable = run_check("can_be_sent", functools.partial(check_portable, task, "it", ()))
    problem = run_check("makes_a_problem", lambda: _check_build(task))
    if problem.wrong:
        return [portable, problem]
    physics = [run_check(name, functools.partial(check, task)) for name, check in TASK_CHECKS.items()]
    return [portable, problem, *physics, *_check_operator(task)]


def _name_task(task: Task, outcome: CheckOutcome) -> CheckOutcome:
    name = f"{outcome.check} · {task.label.partition('(')[0]}"
    return CheckOutcome(name, outcome.verdict, outcome.words)


def _check_operator(task: Task) -> list[CheckOutcome]:
    operator = run_check("makes_an_operator", lambda: _check_build(task))
    if operator.wrong:
        return [operator]
    crops = build_task(task)
    return [
        *(run_check(name, functools.partial(check, crops)) for name, check in OPERATOR_CHECKS.items()),
        *_check_claims(task),
    ]


def _check_build(task: Task) -> str:
    """The task can be built, starts at a finite state without a tape, and has something to learn."""
    crops = build_task(task)
    require(bool(crops.x.isfinite().all()), "the start is not finite")
    require(not crops.x.requires_grad, "the start is on a tape: detach it")
    names = [name for name, p in crops.problem.operator.named_parameters() if p.requires_grad]
    require(names, "the operator has no parameters: there is nothing to learn; make them torch.nn.Parameter")
    side = crops.batch.y.shape[-1]
    return f"crops of {side}×{side}, {len(names)} parameters"


def _check_claims(task: Task) -> list[CheckOutcome]:
    """Check the claims that apply to any contraction, on a 16×16 crop."""
    try:
        case = _task_case(task)
    except UserError as error:
        return [CheckOutcome("claims", NOTE, f"not checked, because it takes no crops of 16×16: {error}")]
    except Note as note:
        return [CheckOutcome("claims", NOTE, f"not checked: {note}")]
    checks = check_operator_claims(case, "known", (*ARGUMENTS, *WITH_REGULARITY))
    return merge_notes(
        [claim_outcome(check, check.reason or f"ratio {check.ratio:.2g} on a 16×16 crop") for check in checks]
    )


def _task_case(task: Task) -> Case:
    """The operator of a task on the 16×16 crop with the highest contrast, as a case."""
    if isinstance(task.prior, Penalty):
        return benchmark_case(task)
    T, L = crop_map(task)
    if max(len(T.theta), T.start.numel()) > LARGEST:
        raise Note(f"more than {LARGEST} unknowns or parameters, and the claims use dense matrices")
    if math.isnan(L):
        raise Note("contraction() knows no bound")
    return crop_case(task.label, T, L, T.truth)
