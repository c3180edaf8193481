"""What a task is, and what it becomes for a seed: an operator, a physics, and batches of real images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from deepinv.physics import DecomposablePhysics
from torch import Tensor

from solvers import Loss, Map, SmoothLoss

from ..operators import Operator, Prior
from ..operators.compiled import ExecutionMode, PreparedMap, channels_last, wrap
from ..utils.random_streams import stream, stream_seed
from .images import Images, Layout, crops

PEAK = 1.0
"""Largest value of an image: everything is in [0, 1]."""


class PhysicsFactory(Protocol):
    """A physics before it knows the size of an image; draws what is random from ``rng``, on the CPU."""

    def __call__(
        self, shape: tuple[int, int, int], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The physics for images of ``shape`` ``(C, H, W)``."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """A reconstruction problem and the operator that solves it.

    Attributes:
        label: the call that made it, as it stands in the tables.
        physics: the linear measurement.
        noise: standard deviation of the Gaussian noise in each channel, in units of the peak.
        prior: what is learned, and the operator it makes.
        step: τ at the start, of the gradient step on the measurement.
    """

    label: str = field(compare=False)
    physics: PhysicsFactory
    noise: tuple[float, ...]
    prior: Prior
    step: float

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return len(self.noise)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images, their measurements and the image from which the iteration starts; each ``(B, C, H, W)``."""

    truth: Tensor
    y: Tensor
    x0: Tensor

    def select(self, index: Tensor) -> Batch:
        """The samples at ``index``."""
        return Batch(self.truth[index], self.y[index], self.x0[index])


@dataclass(frozen=True, slots=True)
class Problem:
    """A task with its seed's images and noise.

    Attributes:
        operator: T_θ, at its initial parameters; nobody shares it.
        physics: the measurement.
        train, test: batches of different images.
        validation: a batch of images that are in neither; ``None`` where the layout has none, or there is one image
            to train on.
        spectrum: smallest and largest eigenvalue of ``AᵀA``, exact.
        applied: how T is, where that can be done (see ``bench.operators.compiled``).
    """

    operator: Operator
    physics: DecomposablePhysics
    train: Batch
    test: Batch
    spectrum: tuple[float, float]
    applied: ExecutionMode = "eager"
    validation: Batch | None = None
    _ready: dict[torch.Size, PreparedMap] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def contraction(self) -> float:
        """A bound on the Lipschitz constant of T in its state, at the parameters of this moment.

        ``nan`` where none is known. A certificate of a network takes a second: ask once.
        """
        return self.operator.contraction(self.spectrum)

    def bind(self, batch: Batch) -> Map:
        """``x -> T_θ(x; y, physics)`` for the measurements of ``batch``."""
        return self.wrapped(batch).T

    def wrapped(self, batch: Batch) -> PreparedMap:
        """The same, with what came of the wish for ``applied``.

        Compiled code and graphs are made at the first batch of a shape, and serve all others of it.
        """
        T = self.operator.bind(batch.y, self.physics)
        if self.applied == "eager":
            return PreparedMap(T, "eager")
        made = self._ready.get(batch.x0.shape)
        ready = None if made is None else made.rebound(T)
        if ready is None:
            ready = self._ready[batch.x0.shape] = wrap(T, self.start(batch), self.applied)
        return ready

    def limit(self, batch: Batch) -> Map:
        """The map whose fixed point is the equilibrium (``bind``'s, unless layers differ)."""
        return self.operator.limit(batch.y, self.physics)

    def start(self, batch: Batch) -> Tensor:
        """The state from which the iteration starts."""
        with torch.no_grad():
            return self.operator.start(batch.x0)

    def criterion(self, batch: Batch) -> Loss:
        """The training loss of states of ``batch``, with its constants where they are known."""

        def value(state: Tensor) -> Tensor:
            return self.loss(state, batch)

        synthesis = self.operator.synthesis()
        return value if synthesis is None else SmoothLoss(value, synthesis / batch.truth.numel())

    def loss(self, state: Tensor, batch: Batch) -> Tensor:
        """The training loss of a state, a scalar."""
        return loss(self.operator.image(state), batch.truth)


def loss(x: Tensor, truth: Tensor) -> Tensor:
    """Training loss: half the mean squared error, a scalar."""
    return 0.5 * (x - truth).square().mean()


def build_problem(
    task: Task,
    images: Images,
    layout: Layout,
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    applied: ExecutionMode = "eager",
    draw: int = 0,
) -> Problem:
    """The task with the crops, the masks and the noise of a seed.

    Everything random is drawn in float64 on the CPU, so that a seed means the same problem in every
    dtype and on every device, up to rounding. Masks, crops and noise have random streams of their own.

    Args:
        task, images, layout, seed: what decides it.
        dtype, device, applied: of the operator.
        draw: another mask and other noise on the same crops, for each number.

    Raises:
        UserError: an image is smaller than the crop, or the crop does not admit the transform.
    """
    device = torch.device(device)
    shape = (task.channels, layout.crop, layout.crop)
    operator = task.prior.operator(shape, task.step, dtype, device)
    if device.type == "cuda":
        operator = channels_last(operator)
    physics = task.physics(shape, stream(seed, "masks", draw), dtype, device)
    exact = task.physics(shape, stream(seed, "masks", draw), torch.float64, torch.device("cpu"))
    noise = torch.tensor(task.noise, dtype=torch.float64).view(-1, 1, 1)

    def measure(truth: Tensor, rng: torch.Generator) -> Batch:
        clean = exact.A(truth)
        y = clean + noise * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
        if masked(exact):
            y = exact.A(y)  # lost pixels are lost, noise included
        truth, y = truth.to(device, dtype), y.to(device, dtype)
        grey = torch.full_like(truth, 0.5 * PEAK)
        return Batch(truth, y, grey + physics.A_adjoint(y - physics.A(grey)))

    def cut(files: tuple[Path, ...], count: int, place: int) -> Tensor:
        return crops(files, task.channels, layout.crop, count, place, layout.mirror)

    learning, choosing = divided(images.train) if layout.validation else (images.train, ())
    train = cut(learning, layout.train, stream_seed(seed, "training crops"))
    # The same places at every seed: a table compares estimators, not crops.
    test = cut(images.test, layout.test, stream_seed(0, "test crops"))
    return Problem(
        operator,
        physics,
        measure(train, stream(seed, "training noise", draw)),
        measure(test, stream(seed, "test noise", draw)),
        spectrum(exact),
        applied,
        None
        if not choosing
        else measure(
            cut(choosing, layout.validation, stream_seed(0, "validation crops")),
            stream(seed, "validation noise", draw),
        ),
    )


def divided(files: tuple[Path, ...]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Training images, of which every third is held out for validation; of two the second, and of one none."""
    held = files[2::3] or files[1:2]
    return tuple(file for file in files if file not in held), held


def spectrum(physics: DecomposablePhysics) -> tuple[float, float]:
    """Smallest and largest eigenvalue of ``AᵀA``, from the exact singular values."""
    values = torch.as_tensor(physics.mask).abs().double().square()
    return float(values.min()), float(values.max())


def masked(physics: DecomposablePhysics) -> bool:
    """Whether the measurement only keeps or loses entries, so that ``A² = A``."""
    from deepinv.physics import Inpainting

    return isinstance(physics, Inpainting)
