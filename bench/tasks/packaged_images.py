"""Images that come with packages: photographs and medical images of scikit-image, and DICOM files of pydicom."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import UserError
from .slices import Slice

PHOTOGRAPHS = "scikit-image"
MEDICAL, CT, MR, XRAY = "medical", "ct", "mr", "xray"
"""Names on a command line."""
COLOURLESS = ("camera.png", "coins.png", "gravel.png", "brick.png")


@dataclass(frozen=True, slots=True)
class PackagedImages:
    """Files of a package, split into train and test.

    Attributes:
        train, test: names of files.
        folders: modules, and the folders below them in which the files may lie.
        package: what ``pip install`` calls the package.
        content: what the files are, in a line about missing ones.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    folders: tuple[tuple[str, str], ...] = (("skimage", "data"),)
    package: str = "scikit-image"
    content: str = "photographs"


DICOM = (("pydicom", "data/test_files"), ("data_store", "data"))
PACKAGED = {
    PHOTOGRAPHS: PackagedImages(
        ("astronaut.png", "coffee.png", "coins.png", "gravel.png", "motorcycle_right.png", "rocket.jpg"),
        ("camera.png", "chelsea.png", "hubble_deep_field.jpg", "brick.png"),
    ),
    # A retina, stained tissue, a cell; the phantom of Shepp and Logan, and a part of a retina.
    MEDICAL: PackagedImages(("retina.jpg", "ihc.png", "cell.png"), ("phantom.png", "microaneurysms.png")),
    # A head and a spine; another head, at its base, and an abdomen.
    CT: PackagedImages(
        ("693_UNCR.dcm", "CT_small.dcm"),
        ("explicit_VR-UN.dcm", "J2K_pixelrep_mismatch.dcm"),
        DICOM,
        "pydicom pydicom-data",
        "slices",
    ),
    # A shoulder and a detail of a scan of a head; an abdomen.
    MR: PackagedImages(
        ("MR2_UNCR.dcm", "MR_small.dcm"),
        ("MR-SIEMENS-DICOM-WithOverlays.dcm",),
        DICOM,
        "pydicom pydicom-data",
        "slices",
    ),
    # A leg; a chest.
    XRAY: PackagedImages(("RG3_UNCR.dcm",), ("RG1_UNCR.dcm",), DICOM, "pydicom pydicom-data", "radiographs"),
}


def packaged_files(
    name: str, *, colour: bool = False
) -> tuple[tuple[Path | Slice, ...], tuple[Path | Slice, ...]]:
    """Files to train on and to test on. Medical images are slices, which crops show whole.

    Args:
        name: a key of ``PACKAGED``.
        colour: leave out grey photographs.

    Raises:
        UserError: the package is missing, or installed without the files.
    """
    chosen = PACKAGED[name]
    folders = [root / below for module, below in chosen.folders if (root := _root(module)) is not None]
    if not folders:
        name = chosen.package.split()[0]
        raise UserError(f"{name} is not installed: pip install {chosen.package}, or give --images DIR")

    def find(names: Sequence[str]) -> tuple[Path | Slice, ...]:
        kept = [file for file in names if not (colour and file in COLOURLESS)]
        files = [
            next((f / file for f in folders if (f / file).is_file()), folders[0] / file) for file in kept
        ]
        missing.extend(file.name for file in files if not file.is_file())
        return tuple(files) if name == PHOTOGRAPHS else tuple(Slice(file) for file in files)

    missing: list[str] = []
    train, test = find(chosen.train), find(chosen.test)
    if missing:
        install = "" if name == PHOTOGRAPHS else f"pip install {chosen.package}, or "
        raise UserError(
            f"{chosen.package.split()[0]} is installed without its {chosen.content} ({', '.join(missing)}): "
            f"{install}give --images DIR, a folder of your own"
        )
    return train, test


def _root(module: str) -> Path | None:
    """The folder of a package; ``None`` if it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin).parent
    return Path(next(iter(spec.submodule_search_locations or ("",))))
