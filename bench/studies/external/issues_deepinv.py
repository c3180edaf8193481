"""Known issues of deepinv 0.5, and one of the wavelets that it uses."""

from __future__ import annotations

import functools
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

from solvers.conformance import relative_error

from ...external.deepinv import deepinv_deq
from .known_issue import Measure, error_percent, known_issue, raised, second_derivative, solved

ISSUES: list[Measure] = []
"""In the order of the table."""
deepinv_issue = functools.partial(known_issue, ISSUES, "deepinv")
HAAR, DB4 = (pywt.Wavelet(name) for name in ("haar", "db4"))  # pyright: ignore[reportAttributeAccessIssue]


def unfolded(kind: type, prior: Prior, **arguments: Any) -> Any:
    """An unfolded algorithm of deepinv without trainable parameters."""
    return kind(data_fidelity=L2(), prior=prior, unfold=True, trainable_params=[], **arguments)


def backpropagate_wavelets(kind: type, **arguments: Any) -> None:
    """A backward pass through five iterations with a wavelet prior and the default ``DEQConfig``."""
    prior = WaveletPrior(level=2, wv="haar")
    algorithm = unfolded(kind, prior, DEQ=DEQConfig(), max_iter=5, **arguments)
    algorithm(torch.rand(1, 1, 16, 16, requires_grad=True), Denoising()).sum().backward()


@deepinv_issue(
    "`DEQConfig(anderson_acceleration_backward=True)`, 400 + 50: plain; with `eps_backward` 1e-4 (default), "
    "1e-12, 1e-16",
    "Anderson better than plain",
)
def deepinv_absolute_regularisation() -> str:
    """``eps_backward`` is added to squares of residuals, whatever their size."""
    solvers = [
        deepinv_deq(400, 50, thres=1e-12),
        *(deepinv_deq(400, 50, anderson=True, regularisation=r, thres=1e-12) for r in (1e-4, 1e-12, 1e-16)),
    ]
    return ", ".join(map(error_percent, solvers))


@deepinv_issue(
    "`PGD(thres_conv=1e-2, early_stop=False, DEQ=DEQConfig(max_iter_backward=600))`: adjoint iterations, error",
    "600",
)
def forward_threshold() -> str:
    """The adjoint iteration stops at ``thres_conv``, the forward threshold, although ``early_stop`` is off."""
    solver = deepinv_deq(600, 600, thres=1e-2)
    (adjoint,) = solved(solver).adjoint
    return f"{adjoint.applications}, {error_percent(solver)}"


@deepinv_issue("`PGD(DEQ=DEQConfig())`: applications on the tape", "1")
def deepinv_tapes_twice() -> str:
    """It tapes two applications; implicit differentiation needs one."""
    return f"{solved(deepinv_deq(10, 10)).taped_applications}"


@deepinv_issue(
    "`PGD(DEQ=DEQConfig())` on ½x² + ½(x − p²)² at p = 1.5, loss ½x²: second derivative", "3.375, or an error"
)
def deepinv_second_derivative() -> str:
    """The equilibrium of ½x² + ½(x − p²)² is p²/2, so ½x² has the second derivative 3p²/2."""
    p = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)

    class SquaredDistance(Prior):
        """½(x − p²)²."""

        def prox(self, x: Tensor, *arguments: object, gamma: float, **named: object) -> Tensor:
            return (x + gamma * p.square()) / (1 + gamma)

    algorithm = unfolded(
        PGD,
        SquaredDistance(),
        stepsize=0.5,
        max_iter=100,
        thres_conv=1e-15,
        DEQ=DEQConfig(max_iter_backward=100),
    )
    return second_derivative(algorithm(torch.zeros(1, 1, 1, 1, dtype=torch.float64), Denoising()), p)


@deepinv_issue(
    "`BlurFFT` with an asymmetric 4×4 kernel, made in float32, then `.to(torch.float64)`; then `.double()`",
    "float32 rounding, 1e-8",
)
def cast_blur() -> str:
    """The phase of the spectrum is a complex buffer: a cast to a real dtype drops its imaginary part."""
    rng = torch.Generator().manual_seed(0)
    kernel = torch.rand(1, 1, 4, 4, generator=rng, dtype=torch.float64)
    kernel /= kernel.sum()
    x = torch.rand(1, 1, 32, 32, generator=rng, dtype=torch.float64)
    exact = BlurFFT(img_size=(1, 32, 32), filter=kernel).A(x)

    def error(cast: Callable[[BlurFFT], Any]) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f"{relative_error(cast(BlurFFT(img_size=(1, 32, 32), filter=kernel.float())).A(x), exact):.1e}"

    return f"{error(lambda blur: blur.to(torch.float64))}; {error(lambda blur: blur.double())}"


@deepinv_issue(
    "`PGD(stepsize=0.1, unfold=True)` for float64 data: dtype of the step, its distance to 0.1", "float64, 0"
)
def float32_parameters() -> str:
    """Python numbers become float32 parameters of an unfolded algorithm."""
    algorithm = PGD(
        data_fidelity=L2(), prior=WaveletPrior(), stepsize=0.1, unfold=True, trainable_params=["stepsize"]
    )
    step: Tensor = next(p for n, p in algorithm.named_parameters() if "stepsize" in n)
    return f"{str(step.dtype).removeprefix('torch.')}, {abs(step.item() - 0.1):.1e}"


@deepinv_issue('`PGD(crit_conv="cost", DEQ=DEQConfig())`, backward', "a gradient")
def cost_criterion() -> str:
    """The adjoint iterates have no cost."""
    return raised(lambda: backpropagate_wavelets(PGD, crit_conv="cost"))


@deepinv_issue("`FISTA(DEQ=DEQConfig())`", "refused when it is made")
def other_algorithms() -> str:
    """Algorithms that do not support ``DEQ`` accept it."""
    return raised(lambda: backpropagate_wavelets(FISTA))


@deepinv_issue(
    "`PGD(anderson_acceleration=True)` with a prior that is a prox only, 10 iterations: evaluations of the "
    "objective, which nothing uses",
    "0",
)
def unused_cost() -> str:
    """Anderson acceleration evaluates the objective at every iteration, with a warning, even if there is none."""
    calls: list[int] = []

    class CountedL2(L2):
        """Counts its evaluations."""

        def fn(self, *arguments: Any, **named: Any) -> Tensor:
            calls.append(1)
            return super().fn(*arguments, **named)

    class NoPrior(Prior):
        """The zero prior, without a value."""

        def prox(self, x: Tensor, *arguments: object, **named: object) -> Tensor:
            return x

    algorithm = PGD(data_fidelity=CountedL2(), prior=NoPrior(), anderson_acceleration=True, max_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        algorithm(torch.rand(1, 1, 16, 16), Denoising())
    return f"{len(calls)}"


@deepinv_issue(
    "`PGD(prior=WaveletPrior(), lambda_reg=0.5, stepsize=1)`: threshold that one step applies", "0.5"
)
def tenth_of_lambda() -> str:
    """``WaveletPrior.prox`` multiplies by ``ths``, which is 0.1 by default and never set by ``PGD``."""
    prior = WaveletPrior(level=1, wv="haar")
    algorithm = PGD(data_fidelity=L2(), prior=prior, lambda_reg=0.5, stepsize=1.0, max_iter=1)
    checker = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)[None, None]
    # Diagonal details of size 2: soft thresholding by λτ = ½ leaves 1.5, so the image shrinks by a quarter.
    out = algorithm(checker, Denoising(), init=checker)
    return f"{2 * (1 - float(out.abs().mean())):.3g}"


@deepinv_issue(
    "`WaveletDenoiser(level=4)` with a threshold a level: entry of the decomposition that index 0, 1, 2, 3 shrinks",
    "1, 2, 3, 4",
)
def rotated_levels() -> str:
    """Each threshold acts on another level than its own."""
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    before = wavedec2(x, HAAR, mode="zero", level=4)
    shrunk = []
    for index in range(4):
        ths = torch.zeros(1, 4)
        ths[0, index] = 0.5
        after = wavedec2(WaveletDenoiser(level=4, wv="haar")(x, ths), HAAR, mode="zero", level=4)
        change = [
            max(float((a - b).abs().max()) for a, b in zip(after[j], before[j], strict=True))
            for j in range(1, 5)
        ]
        shrunk.append(str(1 + max(range(4), key=change.__getitem__)))
    return ", ".join(shrunk)


@deepinv_issue("`DRUNet().double()(x, 0.1)`: distance of the noise level that the network sees to 0.1", "0")
def single_noise_level() -> str:
    """The map of noise levels has the default dtype."""
    inputs: list[Tensor] = []
    network = DRUNet(in_channels=1, out_channels=1, nc=(2, 2, 2, 2), nb=1, pretrained=None).double()
    network.m_head.register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0]))
    with torch.no_grad():
        network(torch.zeros(1, 1, 32, 32, dtype=torch.float64), 0.1)
    return f"{float((inputs[0][:, 1] - 0.1).abs().max()):.1e}"


@known_issue(
    ISSUES,
    "ptwt",
    "`wavedec2(x, db4, level=3)`, modes zero, periodic, reflect, symmetric: energy of coefficients over that of x",
    "1, 1, 1, 1",
)
def padded_energy() -> str:
    """The padded transform is a frame: soft thresholding in it is no proximity operator."""
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratios = []
    for mode in ("zero", "periodic", "reflect", "symmetric"):
        approximation, *details = wavedec2(x, DB4, level=3, mode=mode)
        energy = sum(
            float(c.square().sum()) for c in (approximation, *(d for level in details for d in level))
        )
        ratios.append(f"{energy / float(x.square().sum()):.2f}")
    return ", ".join(ratios)
