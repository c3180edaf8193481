"""The operators of the benchmark as cases: crops of real photographs, with L from the known spectrum."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, DecomposablePhysics
from torch import Tensor, nn

from bench.config.matrix import parse_task
from bench.operators import Operator, ProximalOperator, douglas_rachford, peaceman_rachford
from bench.operators.data_fidelity import DataFidelity, data_fidelity
from bench.penalties import Penalty
from bench.penalties.groups import by_band, join, split
from bench.penalties.shrinkage import Shrinkage
from bench.tasks import Batch, Problem, Task, build_problem
from bench.tasks.deblurring import GaussianBlur, MotionBlur
from bench.tasks.images import Layout, find_images
from solvers import DerivativeBounds, DerivativeChange, HasDerivativeBounds, WrappedBounds

from ..claims.derivative_checks import StatePair
from ..instances import Case, ParametricMap, QuadraticLoss
from .kinks import Kinks, kink_crossings
from .operator_claims import ARGUMENTS, WITH_REGULARITY, OperatorCheck, check_operator_claims

LAYOUT = Layout(16, 6, 1)
TARGET_DISTANCE = 100.0
"""Distance from the start to the target of the loss, in units of the distance from the start to the truth."""


@dataclass(frozen=True, slots=True)
class AsymmetricBlur:
    """A blur with an asymmetric kernel. The other physics are symmetric and would hide A in place of Aᵀ."""

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """Build the blur for images of ``shape``, ``(C, H, W)``."""
        kernel = torch.zeros(1, 1, 3, 3, dtype=dtype, device=device)
        kernel[0, 0] = torch.tensor([[0.1, 0.5, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.2]], dtype=dtype)
        return BlurFFT(img_size=shape, filter=kernel, device=device)


class BenchmarkMap(ParametricMap):
    """An operator bound to its measurements, on flat states, with all its parameters in one vector ``theta``."""

    def __init__(self, problem: Problem, batch: Batch) -> None:
        super().__init__()
        self.operator, self.physics, self.batch = problem.operator, problem.physics, batch
        self.start = problem.start(batch)
        self.truth = problem.operator.start(batch.truth).detach().flatten()
        self.shapes = {name: p.shape for name, p in problem.operator.named_parameters()}
        # A copy, so that a change of theta does not change the operator.
        flat = torch.cat([p.detach().flatten() for p in problem.operator.parameters()])
        self.theta = nn.Parameter(flat.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operator once; x is a flat state."""
        parts = self.theta.split([shape.numel() for shape in self.shapes.values()])
        parameters = {
            n: part.view(shape) for part, (n, shape) in zip(parts, self.shapes.items(), strict=True)
        }
        state = x.view(self.start.shape)
        out = torch.func.functional_call(self.operator, parameters, (state, self.batch.y, self.physics))
        return out.flatten()

    def regularity(self) -> DerivativeBounds | None:
        """The bounds that the operator states of its derivatives at ``theta``; ``None`` if it states none."""
        operator = copy.deepcopy(self.operator)
        nn.utils.vector_to_parameters(self.theta.detach(), operator.parameters())
        T = operator.bind(self.batch.y, self.physics)
        regularity = T.regularity() if isinstance(T, HasDerivativeBounds) else None
        if regularity is None:
            return None
        # The bounds hold for theta only if they cover every parameter of the operator, its step among them.
        covered = {id(p) for p in getattr(regularity, "parameters", None) or ()}
        every = all(id(p) in covered for p in operator.parameters())
        return WrappedBounds(
            regularity, self._change, [self.theta] if every else None, tuple(self.start.shape)
        )

    def crossings(self, x: Tensor, groups: int) -> Iterator[StatePair]:
        """Pairs of states near ``x`` across the kinks of the penalty; see ``kink_crossings``."""
        operator = copy.deepcopy(self.operator)
        nn.utils.vector_to_parameters(self.theta.detach(), operator.parameters())
        yield from kink_crossings(
            penalty_kinks(operator, self.start.shape, data_fidelity(self.batch.y, self.physics)), x, groups
        )

    def _change(self, regularity: DerivativeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """The bounds at flat states. Norms do not depend on the shape."""
        shape = self.start.shape
        return regularity.change(x.view(shape), u.view(shape), radius)


def penalty_kinks(operator: Operator, shape: torch.Size, data: DataFidelity) -> Kinks:
    """The kinks of a step at its current parameters.

    Computed here independently of the bounds that the operator states of itself, which they are compared with.
    """
    assert isinstance(operator, ProximalOperator)
    prior = operator.prior
    assert isinstance(prior, Shrinkage)
    channels, levels, kinds = prior.log_weights.shape
    orientations, axes = prior.orientations, len(shape) - 2
    with torch.no_grad():
        step = operator.step()
        t = by_band(step * prior.log_weights.exp(), orientations)
        threshold = prior.expand(t).expand(shape[1], *axes * (-1,))
        coefficients_at_0 = prior.argument(*operator.prox_argument(torch.zeros(shape, dtype=t.dtype), data))
    # Number the groups: one for each place in a band, shared by orientations and colours that are joined.
    numbers = torch.arange(coefficients_at_0.numel()).view(coefficients_at_0.shape)
    approximation, details = split(numbers, levels, axes)
    joined = [d[:, :, :1].expand_as(d) if kinds == 1 else d for d in details]
    number = join(approximation, joined, axes)[0]
    if channels == 1 and shape[1] > 1:
        number = number[:1].expand_as(number)
    group_numbers = number.flatten()
    bands = (
        prior.expand(torch.arange(1 + orientations * levels)[None]).expand(shape[1], *axes * (-1,)).flatten()
    )
    weights = bands + 100 * torch.arange(shape[1]).repeat_interleave(bands.numel() // shape[1]) * (
        channels > 1
    )
    shrunk = threshold.flatten() > 0
    members = [torch.nonzero((group_numbers == g) & shrunk).flatten() for g in group_numbers[shrunk].unique()]
    first = [int(m[0]) for m in members]
    thresholds = threshold.flatten()[first]

    def coefficients(x: Tensor) -> Tensor:
        return prior.argument(*operator.prox_argument(x.view(shape), data)).flatten()

    def atoms(c: Tensor) -> Tensor:
        x = torch.zeros(shape, dtype=c.dtype, requires_grad=True)
        return torch.autograd.grad(prior.analyse(x), x, c.view(coefficients_at_0.shape))[0].flatten()

    kink = thresholds + prior.smoothing * (1 + step * prior.ridge)
    return Kinks(coefficients, atoms, members, kink, thresholds, [int(weights[m]) for m in first])


def benchmark_case(task: Task) -> Case:
    """The operator of a task on a 16×16 crop, as a case.

    ``M_J`` is infinite, because J jumps at the kinks of the penalty. Claims that need it do not apply; the claims on
    certificates use the bounds that the operator states of its derivatives.
    """
    assert isinstance(task.prior, Penalty), "only convex penalties have a known L"
    prior = dataclasses.replace(task.prior, wavelet="haar", levels=2)
    T, L = crop_map(dataclasses.replace(task, prior=prior))
    # The target lies far beyond the truth. At the truth, the curvature of the loss would dominate a certificate and
    # hide the part that comes from the derivatives of T.
    start = T.start.flatten()
    return crop_case(task.label, T, L, start + TARGET_DISTANCE * (T.truth - start))


def crop_map(task: Task) -> tuple[BenchmarkMap, float]:
    """The operator of a task on the 16×16 crop with the highest contrast, and its L.

    On a flat crop all details, and so all gradients, are 0.
    """
    problem = build_problem(task, find_images(colour=task.channels == 3), LAYOUT, 0, dtype=torch.float64)
    index = problem.train.truth.flatten(1).std(1).argmax()
    return BenchmarkMap(problem, problem.train.select(index[None])), problem.contraction


def crop_case(label: str, T: BenchmarkMap, L: float, target: Tensor) -> Case:
    """A map on a crop as a case with infinite ``M_J`` and ``M_B``; ``target`` is a flat state."""
    loss = QuadraticLoss(target, 1.0, torch.zeros(len(T.theta), len(target), dtype=torch.float64))
    return Case(f"real({label})", T, T.start.flatten(), loss, L, math.inf, math.inf)


def benchmark_tasks() -> list[Task]:
    """The tasks of the benchmark (motion blur shortened to fit a 16×16 crop), and one with an asymmetric blur."""
    texts = [
        "denoising(huber)",
        "denoising(l1)",
        "denoising_colour(huber)",
        "denoising_colour(l1)",
        "deblurring(huber)",
        "deblurring(l1)",
        "inpainting(huber)",
        "inpainting(huber, lost=0.1)",
        "inpainting(l1)",
        "inpainting_colour(huber)",
        "deblurring(orientations(smoothing=0.01, ridge=0.02))",
        "deblurring(orientations(smoothing=0.01, ridge=0.02, coupled=True))",
        "inpainting_colour(colours(smoothing=0.01, ridge=0.02))",
        "denoising_colour(orientations_colours(coupled=True))",
        "inpainting(union(smoothing=0.01, ridge=0.02))",
    ]
    tasks = [parse_task(text) for text in texts]
    blur = next(task for task in tasks if isinstance(task.physics, GaussianBlur))
    split_tasks = [
        dataclasses.replace(task, label=f"{task.label}, {splitting.label}", splitting=splitting)
        for text, splitting in (
            ("deblurring(huber)", peaceman_rachford()),
            ("inpainting(huber)", douglas_rachford()),
            ("denoising(l1)", peaceman_rachford(0.7)),
            ("deblurring(orientations(smoothing=0.01, ridge=0.02))", peaceman_rachford()),
            ("inpainting_colour(colours(smoothing=0.01, ridge=0.02))", douglas_rachford(0.5, 3.0)),
            ("inpainting(union(smoothing=0.01, ridge=0.02))", peaceman_rachford()),
        )
        for task in (parse_task(text),)
    ]
    motion = parse_task("deblurring_colour(huber)")
    return [
        *tasks,
        dataclasses.replace(motion, label="deblurring_colour(huber), 9 pixels", physics=MotionBlur(9)),
        dataclasses.replace(blur, label="deblurring(huber), asymmetric", physics=AsymmetricBlur()),
        *split_tasks,
    ]


def check_claim_on_task(name: str, task: Task) -> OperatorCheck:
    """Check one claim on one task of the benchmark."""
    checks = check_operator_claims(benchmark_case(task), "known", (name,))
    return next(check for check in checks if check.claim == name)


def check_benchmark_operators(claims: tuple[str, ...]) -> list[OperatorCheck]:
    """Check those of ``claims`` that apply, on every task of ``benchmark_tasks()``."""
    names = tuple(name for name in claims if name in ARGUMENTS or name in WITH_REGULARITY)
    tasks = benchmark_tasks() if names else []
    return [check for task in tasks for check in check_operator_claims(benchmark_case(task), "known", names)]
