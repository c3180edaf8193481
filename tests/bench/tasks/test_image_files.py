"""Image files as cameras, scanners and editors write them: looked at as they are meant, or refused in a line."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from bench.tasks.image_files import MAX_TEXT, read_image
from bench.tasks.images import crops, find_images
from bench.utils.errors import UserError

RED = (200, 30, 40)


def upright() -> Image.Image:
    """Red above, black below; 12 wide, 8 high."""
    image = Image.new("RGB", (12, 8), "black")
    image.paste(RED, (0, 0, 12, 4))
    return image


def top(x: torch.Tensor) -> list[int]:
    """The colour at the top left, of 255."""
    return [round(255 * value) for value in x[:, 0, 0].tolist()]


@pytest.mark.misuse(
    "photograph lying on its side (EXIF orientation)", "right: turned upright, as viewers show it"
)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_a_photograph_is_turned_upright(orientation, kind, tmp_path):
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = upright() if orientation == 1 else upright().transpose(back[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"a.{kind}", exif=exif)
    assert torch.equal(
        read_image(tmp_path / f"a.{kind}", 3),
        torch.from_numpy(np.array(upright())).double().permute(2, 0, 1) / 255,
    )
    assert read_image(tmp_path / f"a.{kind}", 1).shape == (1, 8, 12)


def test_a_wrong_orientation_is_none(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 77
    upright().save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png", 3).shape == (3, 8, 12)


@pytest.mark.misuse("image in CIE Lab (LAB mode)", "right: converted to sRGB")
def test_lab_is_converted(tmp_path):
    lab = ImageCms.profileToProfile(
        upright(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "a.tiff")
    with Image.open(tmp_path / "a.tiff") as stored:
        assert stored.mode == "LAB"
    assert np.abs(np.subtract(top(read_image(tmp_path / "a.tiff", 3)), RED)).max() <= 4
    grey = upright().convert("L").getpixel((0, 0))
    assert abs(top(read_image(tmp_path / "a.tiff", 1))[0] - grey) <= 3


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        pytest.param(
            "CMYK", "tiff", marks=pytest.mark.misuse("image in CMYK", "right: converted to RGB or grey")
        ),
        pytest.param(
            "P", "png", marks=pytest.mark.misuse("image with a palette", "right: its colours are looked up")
        ),
        ("YCbCr", "tiff"),
        ("RGB", "webp"),
    ],
)
def test_other_modes_are_converted(mode, kind, tmp_path):
    options = {"lossless": True} if kind == "webp" else {}
    upright().convert(mode).save(tmp_path / f"a.{kind}", **options)
    assert np.abs(np.subtract(top(read_image(tmp_path / f"a.{kind}", 3)), RED)).max() <= (
        25 if mode == "P" else 8
    )
    assert read_image(tmp_path / f"a.{kind}", 1).shape == (1, 8, 12)


@pytest.mark.parametrize(
    ("mode", "colour"),
    [
        pytest.param(
            "RGBA",
            (10, 20, 30, 0),
            marks=pytest.mark.misuse("image with transparency", "right: as it looks on white"),
        ),
        ("LA", (10, 0)),
    ],
)
def test_what_is_transparent_is_white_whatever_is_stored_below(mode, colour, tmp_path):
    Image.new(mode, (6, 5), colour).save(tmp_path / "a.png")
    for channels in (1, 3):
        assert bool((read_image(tmp_path / "a.png", channels) == 1).all())
    palette = Image.new("P", (6, 5), 0)
    palette.putpalette([10, 20, 30])
    palette.save(tmp_path / "p.png", transparency=0)
    assert bool((read_image(tmp_path / "p.png", 3) == 1).all())


def test_what_is_opaque_is_as_without_an_alpha_channel(tmp_path):
    upright().save(tmp_path / "a.png")
    upright().convert("RGBA").save(tmp_path / "b.png")
    for channels in (1, 3):
        assert torch.equal(read_image(tmp_path / "a.png", channels), read_image(tmp_path / "b.png", channels))


@pytest.mark.misuse("image of 16 bits, grey", "right: all 16 bits are kept")
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_kept(kind, tmp_path):
    values = np.array([[0, 1, 258, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{kind}")
    for channels in (1, 3):
        found = read_image(tmp_path / f"a.{kind}", channels)
        assert found.shape == (channels, 1, 4)
        assert found[-1, 0].mul(65535).round().tolist() == values[0].tolist()


@pytest.mark.misuse(
    "image of 32-bit numbers (float TIFF)", "refused: has no 8 or 16 bits a channel: convert it, e.g. to PNG"
)
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_without_a_known_white_are_refused(kind, tmp_path):
    Image.fromarray(np.ones((4, 4), dtype=kind)).save(tmp_path / "a.tiff")
    with pytest.raises(UserError, match=r"a\.tiff has no 8 or 16 bits a channel"):
        read_image(tmp_path / "a.tiff", 1)


@pytest.mark.misuse(
    "image with megabytes of text (the history of an editor)", "right: the text is passed over"
)
@pytest.mark.parametrize("zipped", [False, True])
def test_large_metadata_are_passed_over(zipped, tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("history", "edited " * 500_000, zip=zipped)
    before = PngImagePlugin.MAX_TEXT_CHUNK
    upright().save(tmp_path / "a.png", pnginfo=info)
    assert top(read_image(tmp_path / "a.png", 3)) == list(RED)
    assert before == PngImagePlugin.MAX_TEXT_CHUNK


@pytest.mark.misuse("image whose text is a bomb", "refused: cannot read the image NAME: remove or replace it")
def test_text_without_end_is_refused(tmp_path):
    upright().save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"zTXt" + b"x\0\0" + zlib.compress(bytes(MAX_TEXT + 1000))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(UserError, match=r"cannot read the image a\.png"):
        read_image(tmp_path / "a.png", 3)


@pytest.mark.misuse(
    "image that is cut short or damaged", "refused: cannot read the image NAME: remove or replace it"
)
@pytest.mark.parametrize("kind", ["png", "jpg", "tiff", "webp", "bmp"])
def test_whatever_is_broken_is_one_line(kind, tmp_path):
    file = tmp_path / f"a.{kind}"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file)
    whole = file.read_bytes()
    for content in (
        whole[: len(whole) // 2],
        whole[:20],
        b"",
        b"\0" * 99,
        whole[:60] + bytes(40) + whole[100:],
    ):
        file.write_bytes(content)
        try:
            read_image(file, 3)
            said = ""
        except UserError as error:
            said = str(error)
        if content.startswith(whole[:60]):
            assert said in (
                "",
                f"cannot read the image a.{kind}: remove or replace it",
            )  # its middle may be pixels
        else:
            assert said == f"cannot read the image a.{kind}: remove or replace it"


@pytest.mark.misuse(
    "several pictures in a file (animation, pages of a TIFF)", "right: the first one is taken"
)
@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_of_several_pictures_the_first_is_taken(kind, tmp_path):
    options = {"lossless": True} if kind == "webp" else {}
    upright().save(
        tmp_path / f"a.{kind}", save_all=True, append_images=[Image.new("RGB", (12, 8))], **options
    )
    assert top(read_image(tmp_path / f"a.{kind}", 3)) == list(RED)


@pytest.mark.misuse("image files whose names are no UTF-8", "right: read as any other")
def test_names_that_are_no_text(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102
    for name in (b"a\xff.png", b"b.png"):
        upright().save(os.fsdecode(folder + b"/" + name))
    images = find_images(os.fsdecode(folder))
    assert len(images.train) == len(images.test) == 1
    assert crops(images.train, 3, 8, 1, 0).shape == (1, 3, 8, 8)


def test_the_digest_of_plain_names_is_what_it_was(tmp_path):
    import hashlib

    upright().save(tmp_path / "ä.png")
    upright().save(tmp_path / "b.png")
    total = hashlib.sha256()
    for file in ("b.png", "ä.png"):
        content = (tmp_path / file).read_bytes()
        total.update(file.encode() + b"\0" + hashlib.sha256(content).digest())
    assert find_images(str(tmp_path)).digest == total.hexdigest()[:16]


@pytest.mark.misuse("image of one pixel", "refused: is 1×1, smaller than the crops: remove it, or …")
def test_a_pixel_is_smaller_than_a_crop(tmp_path):
    Image.new("L", (1, 1)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png is 1×1, smaller than the crops of 8×8"):
        crops((tmp_path / "a.png",), 1, 8, 1, 0)
    assert crops((tmp_path / "a.png",), 1, 8, 1, 0, mirror=True).shape == (1, 1, 8, 8)


def test_folders_and_links_to_nowhere_are_no_images(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    for name in "ab":
        upright().save(tmp_path / f"{name}.png")
    images = find_images(str(tmp_path))
    assert [f.name for f in (*images.train, *images.test)] == ["a.png", "b.png"]


@pytest.mark.misuse(
    "scikit-image that comes without its photographs",
    "refused: scikit-image is installed without its photographs (…): give --images DIR",
)
@pytest.mark.parametrize("missing", ["all", "one"])
def test_photographs_that_are_not_there_are_named(missing, tmp_path, monkeypatch):
    import skimage

    data = tmp_path / "skimage" / "data"
    data.mkdir(parents=True)
    (tmp_path / "skimage" / "__init__.py").touch()
    if missing == "one":
        for file in Path(skimage.__file__).parent.joinpath("data").glob("*.*g"):
            (data / file.name).symlink_to(file)
        (data / "coffee.png").unlink()
    spec = type("Spec", (), {"origin": str(tmp_path / "skimage" / "__init__.py")})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(UserError, match=r"without its photographs \(.*coffee\.png.*\): give --images DIR"):
        find_images()


@pytest.mark.misuse(
    "--images with a name longer than the system takes",
    "refused: cannot read the image folder …: File name too long",
)
def test_a_source_that_cannot_be_is_a_line():
    with pytest.raises(UserError, match=r"cannot read the image folder .x+.: File name too long"):
        find_images("x" * 300)
