"""Checks of the physics of a user's task."""

from __future__ import annotations

from collections.abc import Callable

import torch
from deepinv.physics import DecomposablePhysics
from torch import Tensor

from bench.tasks import Task

from ..instances import standard_normal
from .crops import build_task
from .outcome import Note, require


def _adjoint(task: Task) -> str:
    """``A_adjoint`` is the adjoint of A: ``⟨A x, z⟩ = ⟨x, A'z⟩`` for random x and z."""
    crops = build_task(task)
    physics, x = crops.problem.physics, standard_normal(1, *crops.batch.truth.shape)
    y = physics.A(x)
    z = standard_normal(2, *y.shape)
    left, right = float((y * z).sum()), float((x * physics.A_adjoint(z)).sum())
    size = float(torch.linalg.vector_norm(y) * torch.linalg.vector_norm(z))
    require(
        abs(left - right) <= 1e-10 * size,
        f"A_adjoint is not the adjoint of A: ⟨A x, z⟩ = {left:.6g}, but ⟨x, A'z⟩ = {right:.6g}",
    )
    return f"⟨A x, z⟩ − ⟨x, A'z⟩ = {abs(left - right) / size:.1e}, relative"


def _spectrum(task: Task) -> str:
    """The bounds on the eigenvalues of A'A hold; for known singular values, the squared entries of ``physics.mask``."""
    crops = build_task(task)
    physics, (least, largest) = crops.problem.physics, crops.problem.spectrum
    known = isinstance(physics, DecomposablePhysics)
    upper, lower = (
        ("the largest of physics.mask²", "the least of physics.mask²")
        if known
        else ("its bound", "its bound")
    )
    shape = crops.batch.truth[:1].shape

    def normal_operator(x: Tensor) -> Tensor:
        return physics.A_adjoint(physics.A(x))

    top = _largest_eigenvalue(normal_operator, standard_normal(3, *shape))
    bottom = largest - _largest_eigenvalue(
        lambda x: largest * x - normal_operator(x), standard_normal(4, *shape)
    )
    slack = 1e-9 * max(largest, 1.0)
    cause = f"the singular values in {'mask' if known else 'spectrum'} are not those of A"
    require(
        top <= largest + slack,
        f"A'A has an eigenvalue of at least {top:.6g}, above {upper}, {largest:.6g}: {cause}",
    )
    require(
        bottom >= least - slack,
        f"A'A has an eigenvalue of at most {bottom:.6g}, below {lower}, {least:.6g}: {cause}",
    )
    require(
        top >= 0.9 * largest or not known,
        f"A'A has no eigenvalue near {largest:.4g}, which mask states: power iteration finds {top:.4g}",
    )
    if not crops.problem.spectrum.rigorous:
        raise Note(
            f"nothing is proven of {type(physics).__name__}, so L is unknown; ‖A‖² is about {largest:.4g}: give it a "
            "method spectrum(shape) with its bounds (docs/physics.md)"
        )
    if task.step is not None and task.step * largest >= 2:
        raise Note(
            f"the step {task.step:g} is too long: 2/‖A‖² is {2 / largest:.4g}, and beyond it gradient steps diverge"
        )
    return f"eigenvalues of A'A in [{least:.4g}, {largest:.4g}]; measured: [{bottom:.4g}, {top:.4g}]"


def _largest_eigenvalue(A: Callable[[Tensor], Tensor], x: Tensor, steps: int = 200) -> float:
    """Lower bound of the largest eigenvalue of a symmetric A: the Rayleigh quotient after power iteration from x."""
    for _ in range(steps):
        y = A(x)
        size = float(torch.linalg.vector_norm(y))
        if size == 0:
            return 0.0
        x = y / size
    return float((x * A(x)).sum())


def _seed(task: Task) -> str:
    """The seed alone decides the problem."""
    torch.manual_seed(1)
    first = build_task(task)
    torch.manual_seed(2)
    second = build_task(task)
    require(
        torch.equal(first.batch.y, second.batch.y),
        "the same seed made two different problems: draw everything random from rng, on the CPU",
    )
    return "built twice, the same to the bit"


def _float32(task: Task) -> str:
    """In float32, T(x) has the right dtype and is close to its value in float64."""
    double, single = build_task(task), build_task(task, torch.float32)
    with torch.no_grad():
        y = single.T(single.x)
        exact = double.T(double.x)
    require(
        y.dtype == torch.float32, f"in float32 T(x) is {y.dtype}: make everything in the dtype that is given"
    )
    error = float(torch.linalg.vector_norm(y.double() - exact) / torch.linalg.vector_norm(exact))
    require(
        error <= 1e-4,
        f"in float32 T(x) differs by {100 * error:.2g} % from float64: make the physics in the dtype that is given, "
        "and do not cast it later",
    )
    return f"differs by {error:.1e} from float64"


TASK_CHECKS: dict[str, Callable[[Task], str]] = {
    "adjoint": _adjoint,
    "spectrum": _spectrum,
    "a_seed_is_a_problem": _seed,
    "float32": _float32,
}
"""Checks of a task by their names."""
