"""Traps of deepinv 0.5, and one of the wavelets that it uses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pywt
import torch
from deepinv.models import DRUNet, WaveletDenoiser
from deepinv.optim import FISTA, L2, PGD, DEQConfig, Prior, WaveletPrior
from deepinv.physics import BlurFFT, Denoising
from ptwt.conv_transform_2 import wavedec2
from torch import Tensor

from ...external.deepinv import deepinv_deq
from .known_issue import KnownIssue, exact, gradient, issue_percent, off, problem, raised, second_derivative

NAME = "deepinv"
HAAR, DB4 = (pywt.Wavelet(name) for name in ("haar", "db4"))  # pyright: ignore[reportAttributeAccessIssue]


def deepinv_absolute_regularisation() -> KnownIssue:
    """``eps_backward`` is added to squares of residuals, whatever their size."""
    peers = [
        deepinv_deq(400, 50, thres=1e-12),
        *(deepinv_deq(400, 50, anderson=True, regularisation=r, thres=1e-12) for r in (1e-4, 1e-12, 1e-16)),
    ]
    errors = [issue_percent(off(gradient(peer), exact())) for peer in peers]
    return KnownIssue(
        NAME,
        "`DEQConfig(anderson_acceleration_backward=True)`, 400 + 50: plain; with `eps_backward` 1e-4 (default), "
        "1e-12, 1e-16",
        "Anderson better than plain",
        ", ".join(errors),
    )


def forward_threshold() -> KnownIssue:
    """The adjoint iteration stops by ``thres_conv``, the forward iteration's, though ``early_stop`` is off."""
    peer = deepinv_deq(600, 600, thres=1e-2)
    solution = peer(problem().bind(problem().train), problem().start(problem().train))
    problem().loss(solution.x, problem().train).backward()
    (adjoint,) = solution.adjoint
    return KnownIssue(
        NAME,
        "`PGD(thres_conv=1e-2, early_stop=False, DEQ=DEQConfig(max_iter_backward=600))`: adjoint iterations, error",
        "600",
        f"{adjoint.applications}, {issue_percent(off(gradient(peer), exact()))}",
    )


def deepinv_tapes_twice() -> KnownIssue:
    """Two applications are taped where one would do."""
    solution = deepinv_deq(10, 10)(problem().bind(problem().train), problem().start(problem().train))
    return KnownIssue(
        NAME, "`PGD(DEQ=DEQConfig())`: applications on the tape", "1", f"{solution.taped_applications}"
    )


def deepinv_second_derivative() -> KnownIssue:
    """The equilibrium of ½x² + ½(x − p²)² is p²/2, so ½x² has the second derivative 3p²/2."""
    p = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)

    class Pulled(Prior):
        """½(x − p²)²."""

        def prox(self, x: Tensor, *arguments: object, gamma: float, **named: object) -> Tensor:
            return (x + gamma * p.square()) / (1 + gamma)

    algorithm = PGD(
        data_fidelity=L2(),
        prior=Pulled(),
        stepsize=0.5,
        unfold=True,
        trainable_params=[],
        max_iter=100,
        thres_conv=1e-15,
        DEQ=DEQConfig(max_iter_backward=100),
    )
    twice = second_derivative(algorithm(torch.zeros(1, 1, 1, 1, dtype=torch.float64), Denoising()), p)
    return KnownIssue(
        NAME,
        "`PGD(DEQ=DEQConfig())` on ½x² + ½(x − p²)² at p = 1.5, loss ½x²: second derivative",
        "3.375, or an error",
        "no tape" if twice is None else f"{float(twice):.4g}",
    )


def cast_blur() -> KnownIssue:
    """The spectrum's phase is a complex buffer: casts to a real dtype drop its imaginary part."""
    rng = torch.Generator().manual_seed(0)
    kernel = torch.rand(1, 1, 4, 4, generator=rng, dtype=torch.float64)
    kernel /= kernel.sum()
    x = torch.rand(1, 1, 32, 32, generator=rng, dtype=torch.float64)
    wanted = BlurFFT(img_size=(1, 32, 32), filter=kernel).A(x)

    def error(cast: Callable[[BlurFFT], Any]) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f"{off(cast(BlurFFT(img_size=(1, 32, 32), filter=kernel.float())).A(x), wanted):.1e}"

    return KnownIssue(
        NAME,
        "`BlurFFT` with an asymmetric 4×4 kernel, made in float32, then `.to(torch.float64)`; then `.double()`",
        "float32 rounding, 1e-8",
        f"{error(lambda blur: blur.to(torch.float64))}; {error(lambda blur: blur.double())}",
    )


def float32_parameters() -> KnownIssue:
    """Numbers given to an unfolded algorithm become float32 parameters."""
    algorithm = PGD(
        data_fidelity=L2(), prior=WaveletPrior(), stepsize=0.1, unfold=True, trainable_params=["stepsize"]
    )
    step: Tensor = next(p for n, p in algorithm.named_parameters() if "stepsize" in n)
    return KnownIssue(
        NAME,
        "`PGD(stepsize=0.1, unfold=True)` for float64 data: dtype of the step, its distance to 0.1",
        "float64, 0",
        f"{str(step.dtype).removeprefix('torch.')}, {abs(step.item() - 0.1):.1e}",
    )


def cost_criterion() -> KnownIssue:
    """The adjoint iterates carry no cost."""

    def attempt() -> None:
        algorithm = PGD(
            data_fidelity=L2(),
            prior=WaveletPrior(level=2, wv="haar"),
            unfold=True,
            trainable_params=[],
            crit_conv="cost",
            DEQ=DEQConfig(),
            max_iter=5,
        )
        y = torch.rand(1, 1, 16, 16)
        algorithm(y.requires_grad_(), Denoising()).sum().backward()

    return KnownIssue(
        NAME, '`PGD(crit_conv="cost", DEQ=DEQConfig())`, backward', "a gradient", raised(attempt)
    )


def other_algorithms() -> KnownIssue:
    """``DEQ`` reaches algorithms that cannot do it."""

    def attempt() -> None:
        prior = WaveletPrior(level=2, wv="haar")
        algorithm = FISTA(
            data_fidelity=L2(), prior=prior, unfold=True, trainable_params=[], DEQ=DEQConfig(), max_iter=5
        )
        algorithm(torch.rand(1, 1, 16, 16, requires_grad=True), Denoising()).sum().backward()

    return KnownIssue(NAME, "`FISTA(DEQ=DEQConfig())`", "refused when it is made", raised(attempt))


def unused_cost() -> KnownIssue:
    """Anderson acceleration evaluates the objective at every iteration, with a warning, where there is none."""
    calls: list[int] = []

    class Watched(L2):
        """Counts evaluations of its value."""

        def fn(self, *arguments: Any, **named: Any) -> Tensor:
            calls.append(1)
            return super().fn(*arguments, **named)

    class Plain(Prior):
        """No prior."""

        def prox(self, x: Tensor, *arguments: object, **named: object) -> Tensor:
            return x

    algorithm = PGD(data_fidelity=Watched(), prior=Plain(), anderson_acceleration=True, max_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        algorithm(torch.rand(1, 1, 16, 16), Denoising())
    return KnownIssue(
        NAME,
        "`PGD(anderson_acceleration=True)` with a prior that is a prox only, 10 iterations: evaluations of the "
        "objective, which nothing uses",
        "0",
        f"{len(calls)}",
    )


def tenth_of_lambda() -> KnownIssue:
    """``WaveletPrior.prox`` multiplies by ``ths``, 0.1 by default, which ``PGD`` never sets."""
    prior = WaveletPrior(level=1, wv="haar")
    algorithm = PGD(data_fidelity=L2(), prior=prior, lambda_reg=0.5, stepsize=1.0, max_iter=1)
    checker = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)[None, None]
    # Diagonal details of size 2: soft thresholding by λτ = ½ leaves 1.5, so the image shrinks by a quarter.
    out = algorithm(checker, Denoising(), init=checker)
    ratio = float(out.abs().mean())
    return KnownIssue(
        NAME,
        "`PGD(prior=WaveletPrior(), lambda_reg=0.5, stepsize=1)`: threshold that one step applies",
        "0.5",
        f"{2 * (1 - ratio):.3g}",
    )


def rotated_levels() -> KnownIssue:
    """One threshold a level: which level does each act on?"""
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    before = wavedec2(x, HAAR, mode="zero", level=4)
    hit = []
    for index in range(4):
        ths = torch.zeros(1, 4)
        ths[0, index] = 0.5
        after = wavedec2(WaveletDenoiser(level=4, wv="haar")(x, ths), HAAR, mode="zero", level=4)
        change = [
            max(float((a - b).abs().max()) for a, b in zip(after[j], before[j], strict=True))
            for j in range(1, 5)
        ]
        hit.append(str(1 + max(range(4), key=change.__getitem__)))
    return KnownIssue(
        NAME,
        "`WaveletDenoiser(level=4)` with a threshold a level: entry of the decomposition that index 0, 1, 2, 3 shrinks",
        "1, 2, 3, 4",
        ", ".join(hit),
    )


def single_noise_level() -> KnownIssue:
    """The map of noise levels is made in the default dtype."""
    seen: list[Tensor] = []
    network = DRUNet(in_channels=1, out_channels=1, nc=(2, 2, 2, 2), nb=1, pretrained=None).double()
    network.m_head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        network(torch.zeros(1, 1, 32, 32, dtype=torch.float64), 0.1)
    return KnownIssue(
        NAME,
        "`DRUNet().double()(x, 0.1)`: distance of the noise level that the network sees to 0.1",
        "0",
        f"{float((seen[0][:, 1] - 0.1).abs().max()):.1e}",
    )


def padded_energy() -> KnownIssue:
    """The padded transform is a frame: soft thresholding in it is no proximity operator."""
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratios = []
    for mode in ("zero", "periodic", "reflect", "symmetric"):
        approximation, *details = wavedec2(x, DB4, level=3, mode=mode)
        energy = sum(
            float(c.square().sum()) for c in (approximation, *(d for level in details for d in level))
        )
        ratios.append(f"{energy / float(x.square().sum()):.2f}")
    return KnownIssue(
        "ptwt",
        "`wavedec2(x, db4, level=3)`, modes zero, periodic, reflect, symmetric: energy of coefficients over that of x",
        "1, 1, 1, 1",
        ", ".join(ratios),
    )


TRAPS: tuple[Callable[[], KnownIssue], ...] = (
    deepinv_absolute_regularisation,
    forward_threshold,
    deepinv_tapes_twice,
    deepinv_second_derivative,
    cast_blur,
    float32_parameters,
    cost_criterion,
    other_algorithms,
    unused_cost,
    tenth_of_lambda,
    rotated_levels,
    single_noise_level,
    padded_energy,
)
