"""The benchmark's own operators as cases: real crops of real photographs, with L from the known spectrum."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, DecomposablePhysics
from torch import Tensor, nn

from bench.images import Layout, find_images
from bench.matrix import parse_task
from bench.operators import ForwardBackward, Operator, Penalty
from bench.operators.data_term import DataTerm, data_term
from bench.operators.groups import by_band, join, split
from bench.operators.weighted import Shrinkage
from bench.tasks import Batch, Instance, Task, instance
from bench.tasks.deblurring import GaussianBlur, MotionBlur
from solvers import Change, Regular, Regularity, Through

from .cases import Case, Loss, Parametric
from .crossings import Kinks, crossings
from .operator import ARGUMENTS, WITH_REGULARITY, Finding, examine
from .told import Crossing

LAYOUT = Layout(16, 6, 1)
BEYOND = 100.0
"""The target of the loss, in distances from the start to the truth."""


@dataclass(frozen=True, slots=True)
class AsymmetricBlur:
    """A kernel that is not its own mirror image: elsewhere A is symmetric, and would hide A in place of Aᵀ."""

    def __call__(
        self, shape: tuple[int, int, int], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The blur for images of ``shape``."""
        kernel = torch.zeros(1, 1, 3, 3, dtype=dtype, device=device)
        kernel[0, 0] = torch.tensor([[0.1, 0.5, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.2]], dtype=dtype)
        return BlurFFT(img_size=shape, filter=kernel, device=device)


class Bound(Parametric):
    """An operator bound to its measurements, on flat states, all its parameters as ``theta``."""

    def __init__(self, problem: Instance, batch: Batch) -> None:
        super().__init__()
        self.operator, self.physics, self.batch = problem.operator, problem.physics, batch
        self.start = problem.start(batch)
        self.shapes = {name: p.shape for name, p in problem.operator.named_parameters()}
        # Its own copy: whoever moves theta moves nothing else.
        flat = torch.cat([p.detach().flatten() for p in problem.operator.parameters()])
        self.theta = nn.Parameter(flat.clone())

    def forward(self, x: Tensor) -> Tensor:
        """One application to a flat state."""
        parts = self.theta.split([shape.numel() for shape in self.shapes.values()])
        given = {n: part.view(shape) for part, (n, shape) in zip(parts, self.shapes.items(), strict=True)}
        state = x.view(self.start.shape)
        out = torch.func.functional_call(self.operator, given, (state, self.batch.y, self.physics))
        return out.flatten()

    def regularity(self) -> Regularity | None:
        """What the operator says of itself, at ``theta``; ``None`` where it does not say."""
        operator = copy.deepcopy(self.operator)
        nn.utils.vector_to_parameters(self.theta.detach(), operator.parameters())
        T = operator.bind(self.batch.y, self.physics)
        known = T.regularity() if isinstance(T, Regular) else None
        if known is None:
            return None
        # The same numbers, in the one vector of all parameters; the step that some operators keep is held.
        covered = {id(p) for p in getattr(known, "parameters", None) or ()}
        every = all(id(p) in covered for p in operator.parameters())
        return Through(known, self._shaped, [self.theta] if every else None, tuple(self.start.shape))

    def crossings(self, x: Tensor, groups: int) -> Iterator[Crossing]:
        """States at the kinks of its penalty, made of ``x``; none where its shrinkage has no groups of its own."""
        operator = copy.deepcopy(self.operator)
        nn.utils.vector_to_parameters(self.theta.detach(), operator.parameters())
        yield from crossings(
            kinks(operator, self.start.shape, data_term(self.batch.y, self.physics)), x, groups
        )

    def _shaped(self, known: Regularity, x: Tensor, u: Tensor, radius: float) -> Change:
        """Norms do not see the shape."""
        shape = self.start.shape
        return known.change(x.view(shape), u.view(shape), radius)


def kinks(operator: Operator, shape: torch.Size, data: DataTerm) -> Kinks:
    """Those of a step at the parameters of this moment, written apart from what it says of itself."""
    assert isinstance(operator, ForwardBackward)
    prior = operator.prior
    assert isinstance(prior, Shrinkage)
    channels, levels, orientations = prior.log_weights.shape
    with torch.no_grad():
        step = operator.step()
        t = by_band(step * prior.log_weights.exp())
        threshold = prior.spread(t).expand(shape[1], -1, -1)
        here = prior.argument(*operator.descend(torch.zeros(shape, dtype=t.dtype), data))
    # Every place has the number of its group: of its place in a band, over orientations and colours if they are joined.
    numbers = torch.arange(here.numel()).view(here.shape)
    approximation, details = split(numbers, levels)
    joined = [d[:, :, :1].expand_as(d) if orientations == 1 else d for d in details]
    number = join(approximation, joined)[0]
    if channels == 1 and shape[1] > 1:
        number = number[:1].expand_as(number)
    places = number.flatten()
    bands = prior.spread(torch.arange(1 + 3 * levels)[None]).expand(shape[1], -1, -1).flatten()
    weights = bands + 100 * torch.arange(shape[1]).repeat_interleave(bands.numel() // shape[1]) * (
        channels > 1
    )
    shrunk = threshold.flatten() > 0
    members = [torch.nonzero((places == g) & shrunk).flatten() for g in places[shrunk].unique()]
    first = [int(m[0]) for m in members]
    chosen = threshold.flatten()[first]

    def coefficients(x: Tensor) -> Tensor:
        return prior.argument(*operator.descend(x.view(shape), data)).flatten()

    def atoms(c: Tensor) -> Tensor:
        x = torch.zeros(shape, dtype=c.dtype, requires_grad=True)
        return torch.autograd.grad(prior.analyse(x), x, c.view(here.shape))[0].flatten()

    kink = chosen + prior.smoothing * (1 + step * prior.ridge)
    return Kinks(coefficients, atoms, members, kink, chosen, [int(weights[m]) for m in first])


def real(task: Task) -> Case:
    """A case on a 16×16 crop of the task.

    ``M_J`` is infinite: the penalty has kinks, where J jumps. Claims that need it do not apply; those of certificates
    take what the operator says of its own derivatives.
    """
    assert isinstance(task.prior, Penalty), "the tables of claims are those of convex penalties"
    prior = dataclasses.replace(task.prior, wavelet="haar", levels=2)
    small = dataclasses.replace(task, prior=prior)
    problem = instance(small, find_images(colour=task.channels == 3), LAYOUT, 0, dtype=torch.float64)
    # The crop with the most in it: on a flat one every detail is 0, and so is every gradient.
    liveliest = problem.train.truth.flatten(1).std(1).argmax()
    batch = problem.train.pick(liveliest[None])
    T = Bound(problem, batch)
    # States are compared, with one far beyond the truth: nearer, the curvature of the loss would hide in a certificate
    # what the derivatives of T do.
    target = problem.operator.start(batch.truth).detach().flatten()
    target = T.start.flatten() + BEYOND * (target - T.start.flatten())
    loss = Loss(target, 1.0, torch.zeros(len(T.theta), len(target), dtype=torch.float64))
    inf = float("inf")
    return Case(f"real({task.label})", T, T.start.flatten(), loss, problem.contraction, inf, inf)


def matrix() -> list[Task]:
    """The tasks of the benchmark, motion blur shortened to fit a 16×16 crop, and a blur that is not symmetric."""
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
    motion = parse_task("deblurring_colour(huber)")
    return [
        *tasks,
        dataclasses.replace(motion, label="deblurring_colour(huber), 9 pixels", physics=MotionBlur(9)),
        dataclasses.replace(blur, label="deblurring(huber), asymmetric", physics=AsymmetricBlur()),
    ]


def check(name: str, task: Task) -> Finding:
    """One claim on one task of the benchmark."""
    return next(found for found in examine(real(task), "known", (name,)) if found.claim == name)


def check_all(claims: tuple[str, ...]) -> list[Finding]:
    """Those of ``claims`` that apply, on every task of ``matrix()``."""
    names = tuple(name for name in claims if name in ARGUMENTS or name in WITH_REGULARITY)
    return [found for task in matrix() for found in examine(real(task), "known", names)] if names else []
