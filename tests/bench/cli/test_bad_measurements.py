"""Bad images and bad physics on the command line: a line, exit code 2, and nothing written."""

from __future__ import annotations

import h5py
import nibabel
import numpy as np
import pytest

from tests.bench.tasks.test_formats import write_dicom
from tests.helpers.commands import refused
from tests.helpers.profiles import FEW

HEAD = """
from dataclasses import dataclass
import torch
from deepinv.physics import LinearPhysics, MultiCoilMRI
from bench.operators.counts import CountedBlur
from bench.penalties import colours, huber
from bench.tasks import Task
from bench.tasks.mri import Lines
from bench.tasks.mri_coils import simulated_maps
from bench.tasks.poisson import Counts


"""
GREY = """
def own():
    return Task("own", Make(), (0.05,), huber(), 1.0)
"""
PHYSICS = {
    "adjoint": GREY
    + """
@dataclass(frozen=True)
class Make:
    def __call__(self, shape, rng, dtype, device):
        return LinearPhysics(A=lambda x, **_: x, A_adjoint=lambda y, **_: 2 * y)
""",
    "complex": GREY
    + """
@dataclass(frozen=True)
class Make:
    def __call__(self, shape, rng, dtype, device):
        return LinearPhysics(A=lambda x, **_: torch.fft.fft2(x), A_adjoint=lambda y, **_: torch.fft.ifft2(y))
""",
    "channels": """
def own():
    return Task("own", Lines(4.0), (0.05,), huber(), 1.0)
""",
    "coil": """
@dataclass(frozen=True)
class Make:
    def __call__(self, shape, rng, dtype, device):
        maps = simulated_maps(3, *shape[1:])
        maps[:, 2] = 0
        return MultiCoilMRI(mask=torch.ones(1, 2, *shape[1:], dtype=dtype), coil_maps=maps)


def own():
    return Task("own", Make(), (0.02, 0.02), colours(smoothing=0.01, ridge=0.02), 1.0)
""",
    "counts": """
class Darkened(CountedBlur):
    def draw(self, clean, rng):
        return super().draw(clean, rng) - 0.2


@dataclass(frozen=True)
class Make:
    def __call__(self, shape, rng, dtype, device):
        return Darkened(Counts(1.0, 30.0)(shape, rng, dtype, device).blur, 30.0)


def own():
    return Task("own", Make(), (0.0,), huber(), 1.0)
""",
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adjoint", "A_adjoint of LinearPhysics is not the adjoint of A"),
        ("complex", "makes complex numbers of real ones"),
        ("channels", "takes images of 2 channels"),
        ("coil", "coil map 2 of 3 is zero everywhere"),
        ("counts", "counts must be finite and not negative, and the least is -0.2"),
    ],
)
def test_a_bad_physics(name, message, tmp_path, capsys):
    (tmp_path / "own.py").write_text(HEAD + PHYSICS[name])
    (tmp_path / "few.toml").write_text(FEW)
    words = ["run", str(tmp_path / "few.toml"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    line = refused(capsys, [*words, "--task", f"{tmp_path / 'own.py'}:own"])
    assert message in line
    assert not (tmp_path / "out").exists()


def noise(*shape):
    return np.random.default_rng(0).random(shape)


def make(folder, name):
    """Two files, of which one is bad."""
    good, nan = noise(40, 40), noise(40, 40)
    nan[3, 4] = np.nan
    np.save(folder / "a.npy", good)
    if name == "plan":
        write_dicom(folder / "b.dcm", None, modality="RTPLAN")
    elif name == "nan":
        np.save(folder / "b.npy", nan)
    elif name == "complex":
        np.save(folder / "b.npy", good.astype(complex))
    elif name == "two":
        np.savez(folder / "b.npz", x=good, y=good)
    elif name == "cut dcm":
        file = write_dicom(folder / "b.dcm", (999 * good).astype(np.int16))
        file.write_bytes(file.read_bytes()[:900])
    elif name == "cut nii.gz":
        nibabel.save(nibabel.Nifti1Image(noise(40, 40, 4), np.eye(4)), folder / "b.nii.gz")
        (folder / "b.nii.gz").write_bytes((folder / "b.nii.gz").read_bytes()[:900])
    elif name == "cut h5":
        with h5py.File(folder / "b.h5", "w") as opened:
            opened["x"] = good
        (folder / "b.h5").write_bytes((folder / "b.h5").read_bytes()[:900])
    elif name == "cut npy":
        (folder / "b.npy").write_bytes((folder / "a.npy").read_bytes()[:900])
    elif name == "cut npz":
        np.savez(folder / "b.npz", x=good)
        (folder / "b.npz").write_bytes((folder / "b.npz").read_bytes()[:900])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plan", "b.dcm is a DICOM file without an image (RTPLAN): remove it"),
        ("nan", "b.npy has 1 values that are NaN or infinite"),
        ("complex", "b.npy holds complex numbers, and images are real: store their magnitude"),
        ("two", "b.npz holds several images: x (40, 40) float64, y (40, 40) float64"),
        *(
            (f"cut {end}", f"cannot read the image b.{end}: remove or replace it")
            for end in ("dcm", "nii.gz", "h5", "npy", "npz")
        ),
    ],
)
def test_a_bad_image(name, message, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    make(tmp_path / "images", name)
    (tmp_path / "few.toml").write_text(FEW)
    words = ["run", str(tmp_path / "few.toml"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    line = refused(capsys, [*words, "--images", str(tmp_path / "images")])
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_run_says_which_slices_of_a_volume_it_takes(tmp_path, capsys):
    from bench.__main__ import entry

    volume = np.kron(noise(10, 10, 12), np.ones((4, 4, 1)))
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "head.nii.gz")
    (tmp_path / "few.toml").write_text(FEW.replace("seeds = [0, 1]", "seeds = [0]"))
    words = ["run", str(tmp_path / "few.toml"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert entry([*words, "--images", str(tmp_path / "head.nii.gz")]) == 0
    expected = "training images: head.nii.gz (slices 3, 4, 5, 6); test images: head.nii.gz (slices 7, 8)"
    assert expected in capsys.readouterr().err
