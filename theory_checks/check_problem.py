"""Checks of a task or an operator of a user's own, on crops of real photographs in float64."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.images import Layout, find_images
from bench.lipschitz import jacobian_norm
from bench.operators import Penalty, Prior
from bench.oracle import NoOracle, hypergradient
from bench.own import check_portable
from bench.tasks import Batch, Instance, Task, instance
from bench.tasks.deblurring import GaussianBlur
from bench.tasks.denoising import STEP, Identity
from bench.tasks.inpainting import LostPixels
from solvers import Anderson, Map

from .cases import Case, Loss, normal
from .found import NOTE, Found, Remark, demand, found, of_claim, together
from .operator import ARGUMENTS, LARGEST, WITH_REGULARITY, examine
from .real import LAYOUT, Bound, real

SIDES = (32, 64)
"""Of the crops: the first that the task takes."""
BUDGET = 1000
"""Applications, and products, of a solved problem."""
SMOOTH = 1e-5
"""Relative error of a derivative against central differences."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A task on small crops.

    Attributes:
        problem: the task, with two crops to train on.
        T: bound to them; x its start.
    """

    problem: Instance
    batch: Batch
    T: Map
    x: Tensor


def built(task: Task, dtype: torch.dtype = torch.float64) -> Problem:
    """The task on the smallest crops that it takes. Raises ``UserError`` where it takes none."""
    images = find_images(colour=task.channels == 3)
    for side in SIDES:
        try:
            problem = instance(task, images, Layout(side, 2, 1), 0, dtype=dtype)
        except UserError:
            if side == SIDES[-1]:
                raise
        else:
            return Problem(problem, problem.train, problem.bind(problem.train), problem.start(problem.train))
    raise AssertionError("no side was tried")


def prior_findings(prior: Prior) -> list[Found]:
    """All checks of a prior, in three tasks: denoising, deblurring and inpainting."""
    tasks = [
        Task(f"denoising({prior.label})", Identity(), (0.1,), prior, STEP),
        Task(f"deblurring({prior.label})", GaussianBlur(1.5), (0.02,), prior, 1.0),
        Task(f"inpainting({prior.label})", LostPixels(0.5), (0.05,), prior, 1.0),
    ]
    checks = [found("can_be_sent", functools.partial(check_portable, prior, "it", ()))]
    for task in tasks:
        checks += [_at(task, one) for one in _operator_findings(task)]
    return checks


def task_findings(task: Task) -> list[Found]:
    """All checks of a task: of its physics, and of its operator there."""
    sent = found("can_be_sent", functools.partial(check_portable, task, "it", ()))
    made = found("makes_a_problem", lambda: _makes(task))
    if made.wrong:
        return [sent, made]
    physics = [found(name, functools.partial(check, task)) for name, check in OF_TASK.items()]
    return [sent, made, *physics, *_operator_findings(task)]


def _at(task: Task, one: Found) -> Found:
    return Found(f"{one.check} · {task.label.partition('(')[0]}", one.verdict, one.words)


def _operator_findings(task: Task) -> list[Found]:
    made = found("makes_an_operator", lambda: _makes(task))
    if made.wrong:
        return [made]
    at = built(task)
    return [
        *(found(name, functools.partial(check, at)) for name, check in OF_OPERATOR.items()),
        *_claims(task),
    ]


def _makes(task: Task) -> str:
    at = built(task)
    demand(bool(at.x.isfinite().all()), "the start is not finite")
    demand(not at.x.requires_grad, "the start hangs on a tape: it must not")
    named = [name for name, p in at.problem.operator.named_parameters() if p.requires_grad]
    demand(named, "the operator has no parameters: there is nothing to learn; make them torch.nn.Parameter")
    return f"crops of {at.batch.y.shape[-1]}×{at.batch.y.shape[-1]}, {len(named)} parameters"


def _adjoint(task: Task) -> str:
    at = built(task)
    physics, x = at.problem.physics, normal(1, *at.batch.truth.shape)
    y = physics.A(x)
    z = normal(2, *y.shape)
    left, right = float((y * z).sum()), float((x * physics.A_adjoint(z)).sum())
    size = float(torch.linalg.vector_norm(y) * torch.linalg.vector_norm(z))
    demand(
        abs(left - right) <= 1e-10 * size,
        f"A_adjoint is not the adjoint of A: ⟨A x, z⟩ = {left:.6g}, but ⟨x, A'z⟩ = {right:.6g}",
    )
    return f"⟨A x, z⟩ − ⟨x, A'z⟩ = {abs(left - right) / size:.1e}, relative"


def _spectrum(task: Task) -> str:
    at = built(task)
    physics, (least, largest) = at.problem.physics, at.problem.spectrum
    shape = at.batch.truth[:1].shape

    def squared(x: Tensor) -> Tensor:
        return physics.A_adjoint(physics.A(x))

    top = _largest(squared, normal(3, *shape))
    bottom = largest - _largest(lambda x: largest * x - squared(x), normal(4, *shape))
    slack = 1e-9 * max(largest, 1.0)
    demand(
        top <= largest + slack,
        f"A'A has an eigenvalue of at least {top:.6g}, above the largest of physics.mask², {largest:.6g}: the singular "
        "values in mask are not those of A",
    )
    demand(
        bottom >= least - slack,
        f"A'A has an eigenvalue of at most {bottom:.6g}, below the least of physics.mask², {least:.6g}: the singular "
        "values in mask are not those of A",
    )
    demand(
        top >= 0.9 * largest,
        f"A'A has no eigenvalue near {largest:.4g}, which mask states: power iteration finds {top:.4g}",
    )
    if task.step * largest >= 2:
        raise Remark(
            f"the step {task.step:g} is too long: 2/‖A‖² is {2 / largest:.4g}, and beyond it gradient steps diverge"
        )
    return f"eigenvalues of A'A in [{least:.4g}, {largest:.4g}]; seen: [{bottom:.4g}, {top:.4g}]"


def _largest(A: Callable[[Tensor], Tensor], x: Tensor, steps: int = 200) -> float:
    """A Rayleigh quotient of a symmetric A, hence no larger than its largest eigenvalue; power iteration finds it."""
    for _ in range(steps):
        y = A(x)
        size = float(torch.linalg.vector_norm(y))
        if size == 0:
            return 0.0
        x = y / size
    return float((x * A(x)).sum())


def _seeded(task: Task) -> str:
    torch.manual_seed(1)
    first = built(task)
    torch.manual_seed(2)
    second = built(task)
    demand(
        torch.equal(first.batch.y, second.batch.y),
        "the same seed made two different problems: draw everything random from rng, on the CPU",
    )
    return "made twice, the same to the bit"


def _single(task: Task) -> str:
    double, single = built(task), built(task, torch.float32)
    with torch.no_grad():
        y = single.T(single.x)
        right = double.T(double.x)
    demand(
        y.dtype == torch.float32, f"in float32 T(x) is {y.dtype}: make everything in the dtype that is given"
    )
    error = float(torch.linalg.vector_norm(y.double() - right) / torch.linalg.vector_norm(right))
    demand(
        error <= 1e-4,
        f"in float32 T(x) is {100 * error:.2g} % off that in float64: make the physics in the dtype that is given, "
        "and do not cast it later",
    )
    return f"{error:.1e} off float64"


def _pure(at: Problem) -> str:
    before = at.x.clone()
    with torch.no_grad():
        y, again = at.T(at.x), at.T(at.x)
    demand(torch.equal(at.x, before), "T changes its argument in place")
    demand(
        (y.shape, y.dtype) == (at.x.shape, at.x.dtype),
        f"T(x) is {tuple(y.shape)} of {y.dtype}, x is {tuple(at.x.shape)} of {at.x.dtype}: keep shape and dtype",
    )
    demand(
        torch.equal(y, again), "T(x) is another every time: it draws random numbers, or remembers its calls"
    )
    return ""


def _apart(at: Problem) -> str:
    with torch.no_grad():
        together = at.T(at.x)
        for i in range(len(at.x)):
            alone = at.problem.bind(at.batch.pick(torch.tensor([i])))(at.x[i : i + 1])
            error = float(torch.linalg.vector_norm(together[i] - alone[0]) / torch.linalg.vector_norm(alone))
            demand(
                error <= 1e-10,
                f"a sample comes out {error:.1e} different in a batch: samples must not interact; look for a mean or a "
                "norm over dimension 0",
            )
    return ""


def _derivatives(at: Problem) -> str:
    """Autograd's derivatives of ``⟨w, T_θ(x)⟩`` along random directions, against central differences."""
    x = (at.x + 0.05 * normal(5, *at.x.shape)).requires_grad_()
    w = normal(6, *at.x.shape)
    named = {n: p for n, p in at.problem.operator.named_parameters() if p.requires_grad}
    # Bound anew: what an operator computes of its parameters on the way must be on the tape.
    T = at.problem.bind(at.batch)
    pulled = torch.autograd.grad((w * T(x)).sum(), [x, *named.values()], allow_unused=True)
    worst = 0.0
    for i, (name, leaf) in enumerate({"x": x, **named}.items()):
        direction = normal(10 + i, *leaf.shape)
        slopes = [_slope(at, x, leaf, direction, w, h) for h in (1e-4, 1e-5, 1e-6)]
        told = pulled[i]
        if told is None or not bool(told.any()):
            demand(
                max(map(abs, slopes)) < 1e-8,
                f"T depends on {name}, and no gradient reaches it: look for .detach(), .item(), .data or float() "
                "between it and T(x)",
            )
            continue
        value = float((told * direction).sum())
        scale = float(torch.linalg.vector_norm(told) * torch.linalg.vector_norm(direction))
        error = min(abs(value - slope) for slope in slopes) / scale
        demand(
            error <= SMOOTH,
            f"the derivative in {name} is {value:.6g} by autograd, and {slopes[1]:.6g} by differences: a part of T is "
            "detached, or has a backward pass of its own that is wrong",
        )
        worst = max(worst, error)
    return f"autograd agrees with differences to {worst:.1e}"


def _slope(at: Problem, x: Tensor, leaf: Tensor, direction: Tensor, w: Tensor, h: float) -> float:
    values: list[float] = []
    with torch.no_grad():
        before = leaf.clone()
        for sign in (1, -1):
            leaf.copy_(before + sign * h * direction)
            values.append(float((w * at.problem.bind(at.batch)(x)).sum()))
        leaf.copy_(before)
    return (values[0] - values[1]) / (2 * h)


def _contraction(at: Problem) -> str:
    L = at.problem.contraction
    with torch.no_grad():
        x = Anderson(1e-8, 500)(at.T, at.x).x
        points = [at.x, x, at.x + 0.3 * normal(7, *at.x.shape), at.x + 3 * normal(8, *at.x.shape)]
        values = [at.T(p) for p in points]
        ratios = [
            float(
                torch.linalg.vector_norm(values[i] - values[j])
                / torch.linalg.vector_norm(points[i] - points[j])
            )
            for i in range(4)
            for j in range(i)
        ]
    local = max(jacobian_norm(at.T, p, 100).value for p in points)
    seen = max(*ratios, local)
    if math.isnan(L):
        raise Remark(
            f"contraction() knows no bound; measured from below: {seen:.4f}"
            + (", so T is no contraction, and the theory does not apply" if seen > 1 else "")
        )
    demand(
        seen <= L * (1 + 1e-9) + 1e-9,
        f"contraction() states L = {L:.6g}, but T stretches a distance {seen:.6g} times: the bound is too small; "
        "return a larger one, or nan where you know none",
    )
    if not L < 1:
        raise Remark(f"L = {L:.4g} is not below 1: T is no contraction, and the theory does not apply")
    return f"L = {L:.4f} is stated, {seen:.4f} seen"


def _gradient(at: Problem) -> str:
    """The implicit gradient against central differences of the problem solved again."""
    parameters = [p for p in at.problem.operator.parameters() if p.requires_grad]
    try:
        exact = hypergradient(
            at.problem.limit(at.batch), parameters, at.x, lambda x: at.problem.loss(x, at.batch), BUDGET
        ).gradient
    except NoOracle as error:
        raise Remark(f"no equilibrium to check a gradient at: {error}") from error
    demand(
        bool(exact.any()),
        "the gradient at equilibrium is zero: the equilibrium does not depend on the parameters",
    )
    direction = normal(9, len(exact))
    slopes = [_solved_slope(at, parameters, direction, h) for h in (1e-3, 1e-4)]
    value = float(exact @ direction)
    size = float(torch.linalg.vector_norm(exact) * torch.linalg.vector_norm(direction))
    error = min(abs(value - slope) for slope in slopes) / size
    # Kinks of a penalty bend the solved problem between the two points.
    demand(
        error <= 1e-3,
        f"the implicit gradient is {value:.6g} along a direction, and {slopes[1]:.6g} by differences of the solved "
        "problem: a part of T, of image() or of start() is detached, or the equilibrium is not unique",
    )
    return f"agrees with differences of the solved problem to {error:.1e}"


def _solved_slope(at: Problem, parameters: list[nn.Parameter], direction: Tensor, h: float) -> float:
    values: list[float] = []
    before = [p.detach().clone() for p in parameters]
    parts = direction.split([p.numel() for p in parameters])
    with torch.no_grad():
        for sign in (1, -1):
            for p, was, part in zip(parameters, before, parts, strict=True):
                p.copy_(was + sign * h * part.view(p.shape))
            x = Anderson(1e-13, BUDGET, 10)(at.problem.limit(at.batch), at.x).x
            values.append(float(at.problem.loss(x, at.batch)))
        for p, was in zip(parameters, before, strict=True):
            p.copy_(was)
    return (values[0] - values[1]) / (2 * h)


def _claims(task: Task) -> list[Found]:
    """The claims that apply to any contraction, on a 16×16 crop."""
    names = (*ARGUMENTS, *WITH_REGULARITY)
    try:
        case = _case(task)
    except UserError as error:
        return [Found("claims", NOTE, f"not checked, for it takes no crops of 16×16: {error}")]
    except Remark as remark:
        return [Found("claims", NOTE, f"not checked: {remark}")]
    results = examine(case, "known", names)
    return together(
        [of_claim(one, one.reason or f"ratio {one.ratio:.2g} on a 16×16 crop") for one in results]
    )


def _case(task: Task) -> Case:
    if isinstance(task.prior, Penalty):
        return real(task)
    problem = instance(task, find_images(colour=task.channels == 3), LAYOUT, 0, dtype=torch.float64)
    batch = problem.train.pick(problem.train.truth.flatten(1).std(1).argmax()[None])
    T = Bound(problem, batch)
    if max(len(T.theta), T.start.numel()) > LARGEST:
        raise Remark(f"more than {LARGEST} unknowns or parameters, and the claims use dense matrices")
    if math.isnan(problem.contraction):
        raise Remark("contraction() knows no bound")
    target = problem.operator.start(batch.truth).detach().flatten()
    loss = Loss(target, 1.0, torch.zeros(len(T.theta), len(target), dtype=torch.float64))
    inf = math.inf
    return Case(f"real({task.label})", T, T.start.flatten(), loss, problem.contraction, inf, inf)


OF_TASK: dict[str, Callable[[Task], str]] = {
    "adjoint": _adjoint,
    "spectrum": _spectrum,
    "a_seed_is_a_problem": _seeded,
    "float32": _single,
}
OF_OPERATOR: dict[str, Callable[[Problem], str]] = {
    "keeps_shape_and_repeats": _pure,
    "treats_samples_alone": _apart,
    "derivatives": _derivatives,
    "contraction": _contraction,
    "gradient_at_equilibrium": _gradient,
}
