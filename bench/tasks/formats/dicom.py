"""DICOM files, read by pydicom.

Computed tomography is scaled by its physical unit: −1000 HU, air, is 0, and 1000 HU is 1, whatever the file's window.
Other grey images are scaled by the window of the file, the first if there are several; without one, by the least and
the largest value. MONOCHROME1 is inverted. Colours are divided by the largest value that their bits can hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...utils.errors import UserError
from .reading import check_values, library, stretched, windowed

SUFFIXES = (".dcm", ".dicom", ".ima")
HOUNSFIELD = (-1000.0, 1000.0)
"""Hounsfield units at 0 and at 1: air, and dense bone. Water, at 0 HU, is 0.5."""


def has_mark(file: Path) -> bool:
    """Whether the mark of a DICOM file stands behind its preamble of 128 bytes."""
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def count(file: Path) -> int:
    """Number of frames. Raises ``UserError`` for a file without an image."""
    dataset = library("pydicom", file).dcmread(file, stop_before_pixels=True)
    if "Rows" not in dataset or "Columns" not in dataset:
        raise UserError(f"{file.name} is a DICOM file without an image ({_kind(dataset)}): remove it")
    return int(dataset.get("NumberOfFrames") or 1)


def read(file: Path, index: int) -> Tensor:
    """A frame: ``(1, H, W)``, or ``(3, H, W)`` in colour."""
    pydicom = library("pydicom", file)
    dataset = pydicom.dcmread(file)
    if "PixelData" not in dataset:
        raise UserError(f"{file.name} is a DICOM file without an image ({_kind(dataset)}): remove it")
    try:
        pixels = library("pydicom.pixels", file).pixel_array(dataset, index=index)
    except RuntimeError as error:  # no decoder for its compression
        name = dataset.file_meta.TransferSyntaxUID.name
        raise UserError(
            f"{file.name} is compressed as {name}, for which no decoder is installed: "
            "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"
        ) from error
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = library("pydicom.pixels", file).apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        largest = np.iinfo(pixels.dtype).max
        return torch.from_numpy(check_values(pixels, file) / largest).permute(2, 0, 1).contiguous()
    return _grey(dataset, check_values(pixels, file), index, file)


def _grey(dataset: Any, pixels: NDArray[np.float64], index: int, file: Path) -> Tensor:
    scale = _described(dataset, index, "RescaleSlope", "PixelValueTransformationSequence")
    if scale is not None:
        pixels = pixels * float(scale.RescaleSlope) + float(scale.RescaleIntercept)
    if dataset.get("Modality") == "CT" and scale is not None:
        return windowed(pixels, *HOUNSFIELD)
    window = _described(dataset, index, "WindowCenter", "FrameVOILUTSequence")
    if window is None:
        image = stretched(pixels, file)
    else:
        centre, width = (_first(window[name].value) for name in ("WindowCenter", "WindowWidth"))
        if not width > 0:
            raise UserError(f"{file.name} has a window of width {width:g}")
        image = windowed(pixels, centre - width / 2, centre + width / 2)
    return 1 - image if dataset.PhotometricInterpretation == "MONOCHROME1" else image


def _described(dataset: Any, index: int, name: str, sequence: str) -> Any:
    """The part of a data set that has an attribute: itself, or the functional group of a frame or of all frames."""
    if dataset.get(name) is not None:
        return dataset
    groups = [*dataset.get("PerFrameFunctionalGroupsSequence", ())[index : index + 1]]
    for group in (*groups, *dataset.get("SharedFunctionalGroupsSequence", ())):
        for part in group.get(sequence, ()):
            if part.get(name) is not None:
                return part
    return None


def _first(value: Any) -> float:
    """The first of several windows."""
    return float(value if isinstance(value, int | float | str) else value[0])


def _kind(dataset: Any) -> str:
    return str(dataset.get("Modality") or "of unknown modality")
