"""A task, and the problem that it becomes for a seed: an operator, a physics, and batches of real images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, cast

import torch
from deepinv.physics import MRI, DecomposablePhysics, Inpainting, LinearPhysics, MultiCoilMRI
from torch import Tensor

from solvers import Loss, Map, SmoothLoss

from ..operators import Operator, Prior, Splitting, data_fidelity, forward_backward
from ..operators.compiled import ExecutionMode, PreparedMap, channels_last, prepare_map
from ..operators.counts import CountedBlur
from ..spectra import Spectrum, check_adjoint, spectrum_of
from ..utils.errors import UserError
from ..utils.random_streams import stream, stream_seed
from .complex_images import COMPLEX, with_phase
from .images import ImageFile, Images, Layout, crops, volumes_of
from .volume_files import volume_crops

PEAK = 1.0
"""Largest value of an image; images are in [0, 1]."""


class PhysicsFactory(Protocol):
    """Makes a physics once the size of an image is known; draws random parts from ``rng``, on the CPU."""

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> LinearPhysics:
        """The physics for images of ``shape`` ``(C, H, W)``, or volumes of ``(C, D, H, W)``, with an exact adjoint.

        Measurements have any shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """A reconstruction problem and the prior of its operator.

    Attributes:
        label: the call that made the task, as tables show it.
        physics: the linear measurement.
        noise: standard deviation of the Gaussian noise in each channel, in units of the peak; 0 for counts, which
            bring their own.
        prior, step: the prior of the learned operator, and the initial step τ; ``None`` for 1/‖A‖², by its bound.
        splitting: the algorithm whose iteration is the operator.
        axes: 2 for images, 3 for volumes.
    """

    label: str = field(compare=False)
    physics: PhysicsFactory
    noise: tuple[float, ...]
    prior: Prior
    step: float | None
    splitting: Splitting = forward_backward()  # noqa: RUF009 (frozen)
    axes: int = 2

    @property
    def channels(self) -> int:
        """1 for grey images, 2 for complex ones, by real and imaginary part, 3 for colour."""
        return len(self.noise)

    def shape(self, side: int) -> tuple[int, ...]:
        """``(C, H, W)`` of a square image, or ``(C, D, H, W)`` of a cube, of ``side`` pixels."""
        return (self.channels, *(side,) * self.axes)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images ``(B, C, H, W)``, or volumes, their measurements, of any shape, and where the iteration starts."""

    truth: Tensor
    y: Tensor
    x0: Tensor

    def select(self, index: Tensor) -> Batch:
        """The samples at ``index``."""
        return Batch(self.truth[index], self.y[index], self.x0[index])

    def picture(self) -> Tensor:
        """The measurements, where they are images; otherwise the start, a gradient step: ``(B, C, H, W)``."""
        images = self.y.shape == self.truth.shape and self.truth.shape[1] != COMPLEX
        return self.y if images else self.x0


@dataclass(frozen=True, slots=True)
class Problem:
    """A task with the images and the noise of a seed.

    Attributes:
        operator: T_θ with its initial parameters; not shared between problems.
        train, test, validation: batches of different images; the last is ``None`` if the layout has none, or for one
            training image alone.
        spectrum: bounds on the eigenvalues of ``AᵀA``, and whether they are exact, proven or an estimate.
        execution: how to apply T; maps that cannot be compiled or captured stay eager.
    """

    operator: Operator
    physics: LinearPhysics
    train: Batch
    test: Batch
    spectrum: Spectrum
    execution: ExecutionMode = "eager"
    validation: Batch | None = None
    _prepared: dict[torch.Size, PreparedMap] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def contraction(self) -> float:
        """See ``Operator.contraction``; ``nan`` if the spectrum is an estimate. That of a network takes a second."""
        return self.operator.contraction(self.spectrum.ends) if self.spectrum.rigorous else float("nan")

    def bind(self, batch: Batch) -> Map:
        """``x -> T_θ(x; y, physics)`` for the measurements of ``batch``."""
        return self.prepared(batch).T

    def prepared(self, batch: Batch) -> PreparedMap:
        """``bind(batch)`` with its mode; compiled or captured for the first batch of a shape."""
        T = self.operator.bind(batch.y, self.physics)
        if self.execution == "eager":
            return PreparedMap(T, "eager")
        previous = self._prepared.get(batch.x0.shape)
        prepared = None if previous is None else previous.rebound(T)
        if prepared is None:
            prepared = prepare_map(T, self.start(batch), self.execution)
            self._prepared[batch.x0.shape] = prepared
        return prepared

    def limit(self, batch: Batch) -> Map:
        """The map whose fixed point is the equilibrium; it differs from ``bind`` only if layers differ."""
        return self.operator.limit(batch.y, self.physics)

    def start(self, batch: Batch) -> Tensor:
        """The first state of the iteration."""
        with torch.no_grad():
            return self.operator.start(batch.x0)

    def criterion(self, batch: Batch) -> Loss:
        """The training loss of states of ``batch``; a ``SmoothLoss`` if its constants are known."""

        image = self.image_of(batch)

        def value(state: Tensor) -> Tensor:
            return loss(image(state), batch.truth)

        bound = self.operator.image_bound(self.spectrum.ends)
        return value if bound is None else SmoothLoss(value, bound / batch.truth.numel())

    def loss(self, state: Tensor, batch: Batch) -> Tensor:
        """The training loss of a state, a scalar."""
        return loss(self.image_of(batch)(state), batch.truth)

    def image_of(self, batch: Batch) -> Map:
        """``state -> image`` for the measurements of ``batch``."""
        data = data_fidelity(batch.y, self.physics) if self.operator.image_needs_data else None
        return lambda state: self.operator.image(state, data)


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
    execution: ExecutionMode = "eager",
    draw: int = 0,
) -> Problem:
    """The task with the crops, masks and noise of a seed.

    Random numbers are drawn in float64 on the CPU, so a seed is the same problem, up to rounding, in every dtype and on
    every device. Masks, crops and noise have random streams of their own.

    Args:
        task, images, layout, seed: the values depend on these.
        dtype, device, execution: of the operator.
        draw: index of another mask and other noise on the same crops.

    Raises:
        UserError: an image is smaller than the crop, the operator cannot take the crop, or ``A_adjoint`` is not the
            adjoint of A.
    """
    device = torch.device(device)
    shape = task.shape(layout.crop)
    physics = task.physics(shape, stream(seed, "masks", draw), dtype, device)
    exact = task.physics(shape, stream(seed, "masks", draw), torch.float64, torch.device("cpu"))
    check_adjoint(exact, shape, torch.float64)
    known = spectrum_of(exact, shape)
    step = first_step(task, exact, shape)
    operator = task.splitting.operator(task.prior, exact, shape, step, dtype, device)
    if device.type == "cuda":
        operator = channels_last(operator)
    length = 1.0 if task.step is not None else step

    def measure(truth: Tensor, rng: torch.Generator) -> Batch:
        y = add_noise(exact, exact.A(truth), task.noise, rng)
        truth, y = truth.to(device, dtype), y.to(device, dtype)
        grey = torch.full_like(truth, 0.5 * PEAK)
        if isinstance(physics, CountedBlur):
            descent = data_fidelity(y, physics).descent(grey).detach()
        else:
            descent = cast(Tensor, physics.A_adjoint(y - physics.A(grey))).detach()
        return Batch(truth, y, torch.add(grey, descent, alpha=length))

    def cut(files: tuple[ImageFile, ...], count: int, place: int) -> Tensor:
        channels = 1 if task.channels == COMPLEX else task.channels
        if task.axes == 3:
            truth = volume_crops(
                images.source, volumes_of(images, files), layout.crop, count, place, layout.mirror
            )
        else:
            truth = crops(files, channels, layout.crop, count, place, layout.mirror)
        return with_phase(truth) if task.channels == COMPLEX else truth

    train_files, validation_files = _split(images.train) if layout.validation else (images.train, ())
    train = cut(train_files, layout.train, stream_seed(seed, "training crops"))
    # Test and validation crops are the same for every seed: a table compares estimators, not crops.
    test = cut(images.test, layout.test, stream_seed(0, "test crops"))
    validation = None
    if validation_files:
        validation = cut(validation_files, layout.validation, stream_seed(0, "validation crops"))
    return Problem(
        operator,
        physics,
        measure(train, stream(seed, "training noise", draw)),
        measure(test, stream(seed, "test noise", draw)),
        known,
        execution,
        None if validation is None else measure(validation, stream(seed, "validation noise", draw)),
    )


def _split(files: tuple[ImageFile, ...]) -> tuple[tuple[ImageFile, ...], tuple[ImageFile, ...]]:
    """Training and validation files; the latter are every third, the second of two, and none of one."""
    validation = files[2::3] or files[1:2]
    return tuple(file for file in files if file not in validation), validation


def first_step(task: Task, physics: LinearPhysics, shape: tuple[int, ...]) -> float:
    """The initial step τ of a task with a physics for images of ``shape``. Raises ``UserError`` if A is 0."""
    if task.step is not None:
        return task.step
    largest = spectrum_of(physics, shape).largest
    if largest == 0:
        raise UserError(f"{task.label}: the physics makes 0 of every image")
    return 1 / largest


def add_noise(
    physics: LinearPhysics, clean: Tensor, noise: tuple[float, ...], rng: torch.Generator
) -> Tensor:
    """Noisy measurements, in float64 on the CPU: counts of photons, or Gaussian noise where A measures.

    Args:
        physics: of the task.
        clean: its measurements ``(B, C, …)``.
        noise: standard deviation by channel.
        rng: a CPU generator.
    """
    if isinstance(physics, CountedBlur):
        return physics.draw(clean, rng)
    deviation = torch.tensor(noise, dtype=torch.float64).view(-1, *[1] * (clean.ndim - 2))
    y = clean + deviation * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    # What is not measured has no noise either.
    if isinstance(physics, Inpainting):
        return cast(Tensor, physics.A(y))
    if isinstance(physics, MRI | MultiCoilMRI):
        mask = cast(Tensor, physics.mask)
        return y * (mask if isinstance(physics, MRI) else mask[:, :, None])
    return y


def spectrum(physics: DecomposablePhysics) -> tuple[float, float]:
    """Smallest and largest eigenvalue of ``AᵀA``, from the exact singular values."""
    values = torch.as_tensor(physics.mask).abs().double().square()
    return float(values.min()), float(values.max())


def task_label(name: str, prior: Prior, **options: tuple[float, float]) -> str:
    """The shortest call that makes a task; each option is a pair of its value and its default, which is left out."""
    if not hasattr(prior, "operator"):
        raise UserError(f"the prior of {name} must be one such as huber or drunet, not {prior!r}")
    words = [f"{key}={value:g}" for key, (value, default) in options.items() if value != default]
    return f"{name}({', '.join([prior.label, *words])})"
