"""Volumes from files and phantoms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from bench.tasks import build_problem, deblurring_volume
from bench.tasks.images import Layout, find_images
from bench.tasks.phantom import head_phantom
from bench.tasks.volume_files import mirrored, read_volume, volume_crops
from bench.utils.errors import UserError
from tests.helpers.tensors import F64
from tests.helpers.volumes import BLUR


def ramp(*sides: int) -> np.ndarray:
    return np.arange(np.prod(sides), dtype=np.int16).reshape(sides)


def test_an_array_is_mapped_to_the_unit_interval(tmp_path):
    np.save(tmp_path / "a.npy", ramp(3, 4, 5) - 7)
    found = read_volume(tmp_path / "a.npy")
    assert found.shape == (3, 4, 5)
    torch.testing.assert_close(found.flatten(), torch.arange(60) / 59)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_is_read_as_its_header_scales_it(tmp_path, ending):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(ramp(3, 4, 5, 1).astype(np.float32) * 0.25 - 3, np.eye(4))
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / f"a{ending}")
    torch.testing.assert_close(
        read_volume(tmp_path / f"a{ending}").flatten(), torch.arange(60) / 59, rtol=0, atol=1e-4
    )


@pytest.mark.misuse("a file that is no volume where volumes are needed", "refused: it says which files are")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.with_name("a.png"), "a.png is no volume: give NIfTI"),
        (lambda f: f, "cannot read the volume a.npy"),
        (lambda f: np.save(f, ramp(4, 5)), "a volume has three"),
        (lambda f: np.save(f, ramp(2, 3, 4, 5)), "a volume has three"),
        (lambda f: np.save(f, np.ones((2, 3, 4))), "all equal"),
        (lambda f: np.save(f, np.full((2, 3, 4), np.nan)), "not finite"),
        (lambda f: np.save(f, np.array([{}]), allow_pickle=True), "cannot read the volume"),
        (
            lambda f: f.with_name("a.nii").write_bytes(b"no header") and f.with_name("a.nii"),
            "cannot read the volume",
        ),
    ],
)
def test_what_is_no_volume_gets_one_clear_line(tmp_path, make, message):
    file = make(tmp_path / "a.npy") or tmp_path / "a.npy"
    if not file.exists():
        file.write_bytes(b"broken")
    with pytest.raises(UserError, match=message) as caught:
        read_volume(file)
    assert "\n" not in str(caught.value)


@pytest.mark.misuse("NIfTI without nibabel", "refused: it names the package")
def test_nifti_without_nibabel_gets_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    (tmp_path / "a.nii").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.nii needs nibabel, which is not installed: pip install nibabel"):
        read_volume(tmp_path / "a.nii")


def test_cubes_are_cut_from_a_folder(tmp_path):
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, ramp(16, 20, 18))
    images = find_images(str(tmp_path))
    problem = build_problem(BLUR, images, Layout(16, 2, 1), 0, dtype=F64)
    assert problem.train.truth.shape == (2, 1, 16, 16, 16)
    whole = read_volume(tmp_path / "a.npy").double()
    first = problem.train.truth[0, 0]
    assert (whole.unfold(1, 16, 1).unfold(2, 16, 1) - first[:, None, None]).abs().amax((0, 3, 4)).min() == 0


@pytest.mark.misuse("a volume smaller than the crops", "refused: it says what to change")
def test_a_volume_smaller_than_the_cubes_gets_one_clear_line(tmp_path):
    np.save(tmp_path / "a.npy", ramp(16, 8, 16))
    with pytest.raises(UserError, match=r"a\.npy is 16×8×16, smaller than the cubes of 16³"):
        volume_crops("folder", (tmp_path / "a.npy",), 16, 1, 0)
    assert volume_crops("folder", (tmp_path / "a.npy",), 16, 1, 0, mirror=True).shape == (1, 1, 16, 16, 16)


@pytest.mark.misuse(
    "a folder of photographs for a task of volumes", "refused: it says which files are volumes"
)
def test_photographs_are_refused_by_a_task_of_volumes(tmp_path):
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.new("L", (64, 64)).save(tmp_path / name)
    with pytest.raises(UserError, match=r"a\.png is no volume"):
        build_problem(deblurring_volume(), find_images(str(tmp_path)), Layout(32, 1, 1), 0)


def test_a_single_file_is_not_trained_and_tested_on(tmp_path):
    np.save(tmp_path / "head.npy", np.random.default_rng(0).random((32, 32, 32)))
    images = find_images(str(tmp_path / "head.npy"))
    with pytest.raises(UserError, match=r"head\.npy is one volume, too few to train and test"):
        build_problem(deblurring_volume(), images, Layout(32, 1, 1), 0)


def test_a_mirror_continues_a_volume():
    volume = torch.rand(3, 4, 5)
    found = mirrored(volume, (4, 4, 7))
    assert torch.equal(found[:3, :, :5], volume)
    assert torch.equal(found[3, :, :5], volume[2])
    assert torch.equal(found[:3, :, 6], volume[:, :, 3])


def test_phantoms_differ_and_repeat():
    first, second = (head_phantom((12, 16, 20), torch.Generator().manual_seed(s)) for s in (0, 1))
    assert first.shape == (12, 16, 20)
    assert torch.equal(first, head_phantom((12, 16, 20), torch.Generator().manual_seed(0)))
    assert not torch.equal(first, second)
    assert (float(first.min()), float(first.max())) == (0, 1)
    assert float(first[6, 8, 10]) > 0
