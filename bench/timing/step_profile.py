"""Milliseconds of the parts of one application of T: ``python -m bench.timing.step_profile --help``."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable

import torch
from torch.utils.benchmark import Timer

from solvers import Map

from ..config.matrix import parse_task
from ..operators import ForwardBackward
from ..operators.data_fidelity import data_fidelity
from ..penalties import WeightedPenalty
from ..tasks import Task
from ..tasks.base import first_step


def parts(task: Task, size: int, dtype: torch.dtype, device: torch.device) -> dict[str, Callable[[], object]]:
    """The parts of a step on one random image, each as a function to be timed.

    T is applied without a tape, as by a forward solver. All vector–Jacobian products use one tape, as those of an
    adjoint solver.
    """
    shape = task.shape(size)
    rng = torch.Generator().manual_seed(0)
    physics = task.physics(shape, rng, dtype, device)
    operator = task.splitting.operator(
        task.prior, physics, shape, first_step(task, physics, shape), dtype, device
    )
    image = torch.rand(1, *shape, generator=rng, dtype=torch.float64).to(device, dtype)
    T = operator.bind(physics.A(image), physics)
    with torch.no_grad():
        state = operator.start(image)
    x = state.clone().requires_grad_()
    y, cotangent = T(x), torch.ones_like(x)
    calls: dict[str, Callable[[], object]] = {
        "T": _untaped(T, state),
        "T, taped": lambda: T(x),
        "VJP": lambda: torch.autograd.grad(y, x, cotangent, retain_graph=True),
        "A": _untaped(physics.A, image),
        "AᵀA": _untaped(physics.A_adjoint_A, image),
        "AᵀA, as in T": _untaped(data_fidelity(image, physics).normal, image),
        "Fourier pair": _untaped(lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape[-2:]), image),
    }
    if isinstance(operator, ForwardBackward) and isinstance(operator.prior, WeightedPenalty):
        prior, step = operator.prior, operator.log_step.exp()
        calls |= {
            "prox": _untaped(lambda x: prior.prox(x, step), image),
            "shrink": _untaped(lambda x: prior.shrink(x, step), image),
            "analyse": _untaped(prior.wavelets.analyse, image),
            "synthesise": _untaped(prior.wavelets.synthesise, image),
        }
    return calls


def median_ms(call: Callable[[], object], rounds: int) -> float:
    """Median milliseconds of a call; each round has two untimed calls before it, and waits for the GPU."""
    timer = Timer("call()", globals={"call": call})
    return 1e3 * statistics.median(timer.timeit(1).mean for _ in range(rounds))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.timing.step_profile", description=__doc__)
    parser.add_argument("--task", default="deblurring(huber)", help="its call, as in a profile")
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    calls = parts(parse_task(options.task), options.size, getattr(torch, options.dtype), device)
    for name, call in calls.items():
        sys.stdout.write(f"{name:14} {median_ms(call, options.rounds):9.3f} ms\n")
        sys.stdout.flush()


def _untaped(f: Map, x: torch.Tensor) -> Callable[[], object]:
    return lambda: torch.no_grad()(f)(x)


if __name__ == "__main__":
    main()
