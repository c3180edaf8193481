"""A picture of each modality: the image, what is measured or the start, a learned reconstruction, and its error.

python -m bench.studies.modality_pictures --out docs/figures
"""

# The stubs of matplotlib do not know the types of arguments.
# pyright: reportArgumentType=false
from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from deepinv.physics import Tomography
from torch import Tensor

from ..config.lookup import parse_task
from ..tasks import shown
from ..tasks.images import Images, Layout, find_images
from ..tasks.packaged_images import CT, MEDICAL, MR, XRAY
from ..utils.console import run_command, say
from .learned_gain.measure import Equilibrium, fast_problem, learn
from .learning.study import one_thread
from .psnr import psnr

app = typer.Typer(add_completion=False, rich_markup_mode=None)
ERROR = 0.2
"""Error that is white."""
ABDOMEN, CHEST = "MR-SIEMENS-DICOM-WithOverlays.dcm", "RG1_UNCR.dcm"


@dataclass(frozen=True, slots=True)
class Modality:
    """What a column of the figure shows.

    Attributes:
        call: of the task.
        title: above the column.
        source: images of a package.
        file: the image that is shown; the others of the source are learned from.
        low, high: values that are black and white, as the users of the modality look at it.
        window: these values in their unit.
    """

    call: str
    title: str
    source: str
    file: str
    low: float = 0.0
    high: float = 1.0
    window: str = ""


MODALITIES = (
    Modality("mri(acceleration=2, noise=0.01)", "MRI, one coil", MR, ABDOMEN, 0, 0.8, "magnitude"),
    Modality("mri_coils(coils=8, noise=0.01)", "MRI, eight coils", MR, ABDOMEN, 0, 0.8, "magnitude"),
    Modality(
        "tomography(angles=60, noise=0.002)", "CT", CT, "explicit_VR-UN.dcm", 0.42, 0.62, "−160 to 240 HU"
    ),
    Modality("poisson", "radiograph", XRAY, CHEST, 0.1, 1, "3 to 30 photons"),
    Modality("super_resolution(noise=0.005)", "super-resolution", MR, ABDOMEN, 0, 0.8, "magnitude"),
    Modality("super_resolution(factor=4, noise=0.005)", "super-resolution by 4", XRAY, CHEST, 0.1, 1),
    Modality("demosaicing", "demosaicing", MEDICAL, "ihc.png"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """The images of a modality, ``(1 or 3, H, W)``.

    Attributes:
        modality: what is shown.
        truth, start, found: the image, the measurements or the start of the iteration, and the equilibrium.
        sinogram: projections ``(1, detectors, angles)`` in [0, 1], where they are what is measured.
        before, after: PSNR of the start and of the equilibrium, in dB.
    """

    modality: Modality
    truth: Tensor
    start: Tensor
    found: Tensor
    sinogram: Tensor | None
    before: float
    after: float


def picture(modality: Modality, crop: int) -> Picture:
    """Learn a task on the other images of the source, and reconstruct the image.

    Raises ``UserError`` if the images are missing.
    """
    found = find_images(modality.source)
    files = (*found.train, *found.test)
    shown_files = tuple(file for file in files if file.name == modality.file)
    others = tuple(file for file in files if file.name != modality.file)
    images = Images(modality.source, others, shown_files, found.digest)
    problem = fast_problem(parse_task(modality.call), images, Layout(crop, 3, 1), 0)
    learn(problem)
    batch = problem.test
    equilibrium = Equilibrium(problem, batch).image()
    truth, start = shown(batch.truth), shown(batch.picture())
    before, after = (float(psnr(image, truth)) for image in (start, equilibrium))
    sinogram = (batch.y / batch.y.max()).clamp(0, 1)[0] if isinstance(problem.physics, Tomography) else None
    return Picture(modality, truth[0], start[0], equilibrium[0], sinogram, before, after)


def draw(pictures: list[Picture], folder: Path) -> list[Path]:
    """Write the pictures into ``folder``, one column a modality."""
    # Imported here: matplotlib takes a second.
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from ..report.figure_style import RC, save_figure

    with mpl.rc_context(RC):
        size = (1.75 * len(pictures), 8.2)
        figure, axes = plt.subplots(4, len(pictures), figsize=size, squeeze=False)
        for column, of in zip(axes.T, pictures, strict=True):
            error = (of.found - of.truth).abs().mean(0, keepdim=True) / ERROR
            rows = (
                (_windowed(of.truth, of.modality), f"{of.modality.title}\n{of.modality.window}"),
                (_windowed(of.start, of.modality), f"{of.before:.1f} dB")
                if of.sinogram is None
                else (of.sinogram, f"{of.sinogram.shape[2]} projections"),
                (_windowed(of.found, of.modality), f"{of.after:.1f} dB"),
                (error.clamp(0, 1), ""),
            )
            for ax, (image, title) in zip(column, rows, strict=True):
                pixels = image.permute(1, 2, 0).numpy()
                pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
                ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
                ax.set_box_aspect(1)
                ax.set_title(title, fontsize=8)
                ax.set_xticks([])
                ax.set_yticks([])
        words = ("truth", "measured, or the start", "learned reconstruction", f"error, white at {ERROR:g}")
        for ax, text in zip(axes[:, 0], words, strict=True):
            ax.set_ylabel(text, fontsize=8)
        return save_figure(figure, "modalities", folder)


def _windowed(image: Tensor, modality: Modality) -> Tensor:
    return ((image - modality.low) / (modality.high - modality.low)).clamp(0, 1)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the figure.")],
    crop: Annotated[int, typer.Option(min=32, help="Side of the images in pixels.")] = 64,
) -> None:
    """Draw the image, the measurements, a learned reconstruction and its error for each modality (two minutes).

    \b
    python -m bench.studies.modality_pictures --out docs/figures
    """
    found: list[Picture] = []
    with one_thread():
        for modality in MODALITIES:
            found.append(picture(modality, crop))
            say(f"{modality.call}: {found[-1].before:.2f} dB to {found[-1].after:.2f} dB")
    out.mkdir(parents=True, exist_ok=True)
    for file in draw(found, out):
        say(str(file))


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.modality_pictures", arguments)


if __name__ == "__main__":
    sys.exit(entry())
