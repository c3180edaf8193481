"""What one application of T is made of, in milliseconds: ``python -m bench.timing.step_profile --help``."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

from solvers import Map

from ..config.matrix import parse_task
from ..operators import ForwardBackward
from ..operators.data_fidelity import data_fidelity
from ..penalties import WeightedPenalty
from ..tasks import Task


def parts(task: Task, size: int, dtype: torch.dtype, device: torch.device) -> dict[str, Callable[[], object]]:
    """The parts of a step on one random image, each ready to be timed.

    T is applied as a reach applies it, without a tape; its vector-Jacobian product goes through one tape, as those of
    an adjoint solve do.
    """
    shape = (task.channels, size, size)
    rng = torch.Generator().manual_seed(0)
    operator = task.prior.operator(shape, task.step, dtype, device)
    physics = task.physics(shape, rng, dtype, device)
    image = torch.rand(1, *shape, generator=rng, dtype=torch.float64).to(device, dtype)
    T = operator.bind(physics.A(image), physics)
    with torch.no_grad():
        state = operator.start(image)
    at = state.clone().requires_grad_()
    taped, cotangent = T(at), torch.ones_like(at)
    found: dict[str, Callable[[], object]] = {
        "T": _untaped(T, state),
        "T, taped": lambda: T(at),
        "VJP": lambda: torch.autograd.grad(taped, at, cotangent, retain_graph=True),
        "A": _untaped(physics.A, image),
        "AᵀA": _untaped(physics.A_adjoint_A, image),
        "AᵀA, as in T": _untaped(data_fidelity(image, physics).normal, image),
        "Fourier pair": _untaped(lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape[-2:]), image),
    }
    if isinstance(operator, ForwardBackward) and isinstance(operator.prior, WeightedPenalty):
        prior = operator.prior
        step = operator.log_step.exp()
        found |= {
            "prox": _untaped(lambda x: prior.prox(x, step), image),
            "shrink": _untaped(lambda x: prior.shrink(x, step), image),
            "analyse": _untaped(prior.wavelets.analyse, image),
            "synthesise": _untaped(prior.wavelets.synthesise, image),
        }
    return found


def median_ms(what: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median time of a call over ``rounds``, after five that do not count."""
    seconds: list[float] = []
    for _ in range(rounds + 5):
        _wait(device)
        start = time.perf_counter()
        what()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[5:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.timing.step_profile", description=__doc__)
    parser.add_argument("--task", default="deblurring(huber)", help="its call, as in a profile")
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    for name, what in parts(parse_task(given.task), given.size, getattr(torch, given.dtype), device).items():
        sys.stdout.write(f"{name:14} {median_ms(what, device, given.rounds):9.3f} ms\n")
        sys.stdout.flush()


def _untaped(f: Map, x: torch.Tensor) -> Callable[[], object]:
    def apply() -> object:
        with torch.no_grad():
            return f(x)

    return apply


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
