"""Imaging tasks: physics, noise, prior and step; one kind of measurement a file."""

from collections.abc import Callable

from .base import Batch, Problem, Task, build_problem, loss, spectrum
from .deblurring import deblurring, deblurring_colour
from .denoising import denoising, denoising_colour
from .inpainting import inpainting, inpainting_colour

ROSTER: dict[str, Callable[..., Task]] = {
    "denoising": denoising,
    "denoising_colour": denoising_colour,
    "deblurring": deblurring,
    "deblurring_colour": deblurring_colour,
    "inpainting": inpainting,
    "inpainting_colour": inpainting_colour,
}

__all__ = ["ROSTER", "Batch", "Problem", "Task", "build_problem", "loss", "spectrum"]
