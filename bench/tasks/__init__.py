"""Imaging tasks: physics, noise, prior and step; one kind of measurement a file."""

from collections.abc import Callable

from .base import Batch, Problem, Task, build_problem, loss, spectrum
from .complex_images import shown
from .deblurring import deblurring, deblurring_colour
from .deblurring_volume import deblurring_volume
from .demosaicing import demosaicing
from .denoising import denoising, denoising_colour
from .inpainting import inpainting, inpainting_colour
from .mri import mri
from .mri_coils import mri_coils
from .mri_volume import mri_volume
from .poisson import poisson
from .super_resolution import super_resolution
from .tomography import tomography

ROSTER: dict[str, Callable[..., Task]] = {
    "denoising": denoising,
    "denoising_colour": denoising_colour,
    "deblurring": deblurring,
    "deblurring_colour": deblurring_colour,
    "inpainting": inpainting,
    "inpainting_colour": inpainting_colour,
    "mri": mri,
    "mri_coils": mri_coils,
    "tomography": tomography,
    "super_resolution": super_resolution,
    "demosaicing": demosaicing,
    "poisson": poisson,
    "deblurring_volume": deblurring_volume,
    "mri_volume": mri_volume,
}

__all__ = ["ROSTER", "Batch", "Problem", "Task", "build_problem", "loss", "shown", "spectrum"]
