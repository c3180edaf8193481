"""Measured images as scanners and programs write them: scaled and turned as stated, or refused in a line."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from bench.tasks.formats import count_slices, format_of, library, read_slice
from bench.tasks.images import crops, find_images
from bench.utils.errors import UserError

RAMP = np.arange(12, dtype=np.int16).reshape(3, 4)


def write_dicom(file: Path, pixels: np.ndarray | None, /, modality="MR", **attributes) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    storage = CTImageStorage if pixels is not None else RTStructureSetStorage
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = storage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = modality
    if pixels is not None:
        colour = pixels.shape[-1] == 3
        dataset.Rows, dataset.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
        if pixels.ndim == 3 and not colour:
            dataset.NumberOfFrames = len(pixels)
        dataset.SamplesPerPixel = 3 if colour else 1
        if colour:
            dataset.PlanarConfiguration = 0
        dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        bits = 8 * pixels.dtype.itemsize
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit, dataset.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(file, enforce_file_format=True)
    return file


def test_hounsfield_units_have_a_fixed_scale_whatever_the_window(tmp_path):
    stored = np.array([[0, 1024, 1524, 2024, 3000]], dtype=np.int16)
    file = write_dicom(
        tmp_path / "a.dcm",
        stored,
        modality="CT",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=40,
        WindowWidth=80,
    )
    assert read_slice(file, 0, 1).flatten().tolist() == [0, 0.5, 0.75, 1, 1]


def test_the_window_of_a_file_decides_elsewhere(tmp_path):
    file = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=[6, 1], WindowWidth=[8, 1])
    expected = ((RAMP - 2.0) / 8).clip(0, 1)
    assert torch.equal(read_slice(file, 0, 1)[0], torch.from_numpy(expected))
    rescaled = {"RescaleSlope": 2, "RescaleIntercept": 0}
    doubled = write_dicom(tmp_path / "c.dcm", RAMP, WindowCenter=12, WindowWidth=16, **rescaled)
    assert torch.equal(read_slice(doubled, 0, 1)[0], torch.from_numpy(expected)), "no Hounsfield units"
    inverted = write_dicom(
        tmp_path / "b.dcm", RAMP, WindowCenter=6, WindowWidth=8, PhotometricInterpretation="MONOCHROME1"
    )
    assert torch.equal(read_slice(inverted, 0, 1)[0], torch.from_numpy(1 - expected))


def test_without_a_window_the_least_and_the_largest_value_decide(tmp_path):
    file = write_dicom(tmp_path / "a.dcm", RAMP)
    assert torch.equal(read_slice(file, 0, 1)[0], torch.from_numpy(RAMP / 11))
    assert read_slice(file, 0, 3).shape == (3, 3, 4)


def test_the_scale_of_a_frame_stands_in_its_functional_group(tmp_path):
    scale, frames = Dataset(), []
    scale.RescaleSlope, scale.RescaleIntercept = 2, -1000
    shared = Dataset()
    shared.PixelValueTransformationSequence = Sequence([scale])
    for centre in (2, 8):
        window, frame = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 4
        frame.FrameVOILUTSequence = Sequence([window])
        frames.append(frame)
    both = np.stack([RAMP, RAMP + 500])
    groups = {"SharedFunctionalGroupsSequence": Sequence([shared])}
    file = write_dicom(tmp_path / "a.dcm", both, modality="CT", **groups)
    assert count_slices(file) == 2
    assert torch.equal(read_slice(file, 1, 1)[0], torch.from_numpy((2 * (RAMP + 500.0) - 1000 + 1000) / 2000))
    mr = write_dicom(tmp_path / "b.dcm", both, PerFrameFunctionalGroupsSequence=Sequence(frames))
    assert torch.equal(read_slice(mr, 0, 1)[0], torch.from_numpy((RAMP / 4.0).clip(0, 1)))


def test_colours_of_dicom(tmp_path):
    pixels = np.zeros((3, 4, 3), dtype=np.uint8)
    pixels[..., 0] = 255
    file = write_dicom(tmp_path / "a.dcm", pixels, modality="US")
    assert read_slice(file, 0, 3)[:, 0, 0].tolist() == [1, 0, 0]
    assert float(read_slice(file, 0, 1)[0, 0, 0]) == pytest.approx(0.299)


def test_a_file_of_dicom_may_have_any_name_without_a_dot(tmp_path):
    for name in ("IM0001", "IM0002"):
        write_dicom(tmp_path / name, np.tile(RAMP, (20, 20)))
    (tmp_path / "README").write_text("not an image")
    images = find_images(str(tmp_path))
    assert [image.name for image in (*images.train, *images.test)] == ["IM0001", "IM0002"]


@pytest.mark.misuse(
    "DICOM file without an image (a plan, a report)",
    "refused: is a DICOM file without an image (RTSTRUCT): remove it",
)
def test_dicom_without_an_image(tmp_path):
    write_dicom(tmp_path / "a.dcm", None, modality="RTSTRUCT")
    with pytest.raises(UserError, match=r"a\.dcm is a DICOM file without an image \(RTSTRUCT\): remove it"):
        find_images(str(tmp_path / "a.dcm"))
    header = write_dicom(tmp_path / "b.dcm", RAMP)
    dataset = pydicom.dcmread(header)
    del dataset.PixelData
    dataset.save_as(header)
    with pytest.raises(UserError, match=r"b\.dcm is a DICOM file without an image \(MR\)"):
        read_slice(header, 0, 1)


@pytest.mark.parametrize("code", ["RAS", "LPS", "ASL", "SRA", "PIL"])
def test_axial_slices_are_turned_as_radiologists_look_at_them(code, tmp_path):
    """Whatever the axes of the file, anterior is above, and the patient's right on the left."""
    rng = np.random.default_rng(0)
    volume = rng.random((4, 5, 6))  # right, anterior, superior
    straight = nibabel.Nifti1Image(volume, np.diag([1.0, 1.0, 1.0, 1.0]))
    wanted = nibabel.orientations.axcodes2ornt(tuple(code))
    turned = straight.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.io_orientation(straight.affine), wanted)
    )
    nibabel.save(turned, tmp_path / "a.nii.gz")
    assert nibabel.aff2axcodes(nibabel.load(tmp_path / "a.nii.gz").affine) == tuple(code)
    assert count_slices(tmp_path / "a.nii.gz") == 6
    found = read_slice(tmp_path / "a.nii.gz", 2, 1)
    expected = volume[::-1, ::-1, 2].T
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    assert found.shape == (1, 5, 4)
    assert torch.allclose(found[0], torch.from_numpy(expected.copy()))


def test_a_flat_image_of_nifti(tmp_path):
    nibabel.save(nibabel.Nifti1Image(RAMP, np.eye(4)), tmp_path / "a.nii")
    assert count_slices(tmp_path / "a.nii") == 1
    assert torch.equal(read_slice(tmp_path / "a.nii", 0, 1)[0], torch.from_numpy(RAMP[::-1, ::-1].T / 11))
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5, 2)), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(UserError, match=r"b\.nii has 4 dimensions: give an image or a volume"):
        count_slices(tmp_path / "b.nii")


def save(file: Path, array: np.ndarray) -> Path:
    if file.suffix == ".npy":
        np.save(file, array)
    elif file.suffix == ".npz":
        np.savez(file, image=array, names=np.array(["a"]))
    else:
        with h5py.File(file, "w") as opened:
            opened["group/image"] = array
            opened["names"] = [1, 2]
    return file


ARRAYS = pytest.mark.parametrize("end", ["npy", "npz", "h5", "hdf5"])


@ARRAYS
def test_values_of_arrays(end, tmp_path):
    for array, expected in (
        (np.array([[0, 51], [102, 204]], dtype=np.uint8), [0, 0.2, 0.4, 0.8]),
        (np.array([[0.25, 0.5], [0.5, 0.75]], dtype=np.float32), [0.25, 0.5, 0.5, 0.75]),
        (np.array([[-1, 0], [1, 3]], dtype=np.int32), [0, 0.25, 0.5, 1]),
        (np.array([[[9, 9], [9, 9]], [[-1, 0], [1, 3]]]), [0, 0.25, 0.5, 1]),
    ):
        file = save(tmp_path / f"a.{end}", array)
        last = count_slices(file) - 1
        assert last == array.ndim - 2
        assert read_slice(file, last, 1).flatten().tolist() == expected


@ARRAYS
@pytest.mark.misuse("array of complex numbers", "refused: holds complex numbers or no image of real numbers")
def test_complex_arrays_are_refused(end, tmp_path):
    file = save(tmp_path / f"a.{end}", np.ones((4, 4), dtype=np.complex64))
    with pytest.raises(UserError, match=r"holds (complex numbers|no image of real numbers)"):
        read_slice(file, 0, 1)


@ARRAYS
@pytest.mark.misuse("array with NaN", "refused: has 1 values that are NaN or infinite: replace them")
def test_an_array_with_nan_is_refused(end, tmp_path):
    array = np.ones((4, 4))
    array[1, 2] = np.nan
    with pytest.raises(UserError, match=r"has 1 values that are NaN or infinite: replace them"):
        read_slice(save(tmp_path / f"a.{end}", array), 0, 1)


def test_a_volume_with_nan_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.full((4, 4, 4), np.nan), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(UserError, match="16 values that are NaN"):
        read_slice(tmp_path / "a.nii", 1, 1)


@pytest.mark.misuse(
    "array of other than images", "refused: has shape (…) and dtype …: give numbers of shape (H, W)"
)
@pytest.mark.parametrize(
    ("array", "line"),
    [
        (
            np.ones(5),
            r"has shape \(5,\) and dtype float64: give numbers of shape \(H, W\) or \(slices, H, W\)",
        ),
        (np.array([["a", "b"]]), "has shape .* and dtype <U1"),
        (np.ones((8, 8, 3)), r"has shape \(8, 8, 3\), as a colour image: save it as PNG or TIFF"),
        (np.ones((0, 8)), "slices of 0 pixels"),
        (np.full((8, 8), 7), "shows nothing: all values are 7"),
    ],
)
def test_arrays_that_are_no_images(array, line, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=line):
        read_slice(tmp_path / "a.npy", 0, 1)


@pytest.mark.misuse(
    "HDF5 or npz file with several images", "refused: holds several images: …; the line lists them"
)
def test_several_images_in_a_file_are_listed(tmp_path):
    np.savez(tmp_path / "a.npz", first=np.ones((4, 5)), second=np.ones((2, 4, 5)))
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened["first"], opened["second"] = np.ones((4, 5)), np.ones((2, 4, 5))
    for end in ("npz", "h5"):
        with pytest.raises(
            UserError, match=r"holds several images: first \(4, 5\) float64, second \(2, 4, 5\)"
        ):
            count_slices(tmp_path / f"a.{end}")


def test_of_fastmri_the_reconstruction_is_read(tmp_path):
    with h5py.File(tmp_path / "file1000.h5", "w") as opened:
        opened["kspace"] = np.ones((8, 2, 16, 16), dtype=np.complex64)
        opened["reconstruction_rss"] = np.arange(8 * 256.0).reshape(8, 16, 16)
    images = find_images(str(tmp_path / "file1000.h5"))
    assert (len(images.train), len(images.test)) == (3, 1)
    assert images.in_words() == (
        "training images: file1000.h5 (slices 2, 3, 4); test images: file1000.h5 (slice 5)"
    )


def whole_file(end: str, folder: Path) -> Path:
    rng = np.random.default_rng(0)
    array = rng.random((40, 40))
    file = folder / f"a.{end}"
    if end == "dcm":
        return write_dicom(file, (1000 * array).astype(np.int16))
    if end.startswith("nii"):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), file)
        return file
    return save(file, array)


@pytest.mark.misuse(
    "DICOM, NIfTI, NumPy or HDF5 file that is cut short or damaged",
    "refused: cannot read the image NAME: remove or replace it",
)
@pytest.mark.parametrize("end", ["dcm", "nii", "nii.gz", "npy", "npz", "h5"])
def test_whatever_is_broken_is_one_line(end, tmp_path):
    content = whole_file(end, tmp_path).read_bytes()
    file = tmp_path / f"b.{end}"
    for broken in (content[: len(content) // 2], content[:20], b"", b"\0" * 999, gzip.compress(b"x" * 9)):
        file.write_bytes(broken)
        with pytest.raises(
            UserError, match=r"cannot read the image b\.|b\.dcm is a DICOM file without"
        ) as caught:
            read_slice(file, count_slices(file) - 1, 1)
        assert "\n" not in str(caught.value)


@pytest.mark.misuse(
    "file of a format whose reader is not installed", "refused: needs pydicom, …: pip install pydicom"
)
@pytest.mark.parametrize(("end", "package"), [("dcm", "pydicom"), ("nii.gz", "nibabel"), ("h5", "h5py")])
def test_a_missing_reader_is_named(end, package, tmp_path, monkeypatch):
    file = whole_file(end, tmp_path)

    def missing(name: str):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    line = rf"a\.{end} needs {package}, which is not installed: pip install {package}"
    with pytest.raises(UserError, match=line):
        count_slices(file)
    with pytest.raises(UserError, match=line):
        library(package, file)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"cannot read the image a\.npy"):
        count_slices(tmp_path / "a.npy")


def test_crops_are_cut_from_every_format(tmp_path):
    for end in ("dcm", "nii", "npy", "npz", "h5"):
        whole_file(end, tmp_path)
    images = find_images(str(tmp_path))
    assert len(images.train) + len(images.test) == 5
    x = crops((*images.train, *images.test), 1, 24, 7, 0)
    assert x.shape == (7, 1, 24, 24)
    assert 0 <= float(x.min()) < 0.5 < float(x.max()) <= 1


def test_formats_are_found_by_the_end_of_a_name():
    for name in ("A.DCM", "a.ima", "a.nii", "a.nii.gz", "a.npy", "a.npz", "a.h5", "a.hdf5"):
        assert format_of(Path(name)) is not None
    for name in ("a.png", "a.gz", "notes", "a.txt"):
        assert format_of(Path(name)) is None
