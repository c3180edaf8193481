"""Where images come from, and what a broken source says."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from bench.tasks.image_files import read_image
from bench.tasks.images import crops, find_images, path_of
from bench.tasks.packaged_images import COLOURLESS, PACKAGED, PHOTOGRAPHS
from bench.tasks.slices import Slice
from bench.utils.errors import UserError


def picture(path, size=(48, 40), value=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, tuple(int(255 * value) for _ in range(3))).save(path)
    return path


def test_the_packaged_images_are_split_by_name():
    images = find_images()
    assert not set(images.train) & set(images.test)
    known = PACKAGED[PHOTOGRAPHS]
    assert {f.name for f in (*images.train, *images.test)} == {*known.train, *known.test}
    for file in (*images.train, *images.test):
        assert min(read_image(path_of(file), 1).shape[1:]) >= 256, "the paper profile takes crops of 256"


@pytest.mark.parametrize("name", ["medical", "ct", "mr"])
@pytest.mark.parametrize("channels", [1, 3])
def test_crops_of_packaged_medical_images_show_something(name, channels):
    images = find_images(name)
    assert not set(images.train) & set(images.test)
    for files in (images.train, images.test):
        assert all(isinstance(file, Slice) for file in files)
        for x in crops(files, channels, 64, 4, 0):
            assert 0 <= float(x.min()) < float(x.max()) <= 1
            assert float(x.std()) > 0.03


def test_the_phantom_is_shown_whole():
    """Its skull is white on all four sides, and outside it is black."""
    phantom = next(file for file in find_images("medical").test if file.name == "phantom.png")
    (x,) = crops((phantom,), 1, 64, 1, 0)[0]
    for side in (x[:8, 32], x[-8:, 32], x[32, :16], x[32, -16:]):
        assert float(side.max()) > 0.5, "the skull is a pixel wide"
        assert float(side.min()) < 0.01
    assert float(torch.stack((x[0, 0], x[0, -1], x[-1, 0], x[-1, -1])).max()) < 0.01


@pytest.mark.misuse(
    "--images ct without the packages of its slices",
    "refused: pydicom is not installed: pip install pydicom pydicom-data",
)
def test_missing_slices_are_a_line(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="not installed: pip install pydicom pydicom-data, or give --images DIR"
    ):
        find_images("ct")
    (tmp_path / "__init__.py").touch()
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py"), "submodule_search_locations": None})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(
        UserError, match=r"pydicom is installed without its slices \(MR2_UNCR\.dcm, .*pip install"
    ):
        find_images("mr")


def test_the_colour_images_are_in_colour():
    images = find_images(colour=True)
    for file in (*images.train, *images.test):
        assert file.name not in COLOURLESS
        x = read_image(path_of(file), 3)
        assert (x[0] - x[1]).abs().mean() > 0.005, f"{file.name} is grey"


def test_an_image_is_in_0_1_and_grey_by_luminance(tmp_path):
    Image.new("RGB", (4, 2), (255, 0, 0)).save(tmp_path / "red.png")
    assert read_image(tmp_path / "red.png", 3)[:, 0, 0].tolist() == [1, 0, 0]
    grey = read_image(tmp_path / "red.png", 1)
    assert grey.shape == (1, 2, 4)
    assert grey.dtype == torch.float64
    assert grey[0, 0, 0].item() == pytest.approx(0.299, abs=0.01)


def test_a_folder_is_split_by_name(tmp_path):
    for i in range(9):
        picture(tmp_path / f"{i}.png", value=i / 10)
    (tmp_path / "notes.txt").write_text("not an image")
    images = find_images(str(tmp_path))
    assert [f.name for f in images.test] == ["3.png", "7.png"]
    assert len(images.train) == 7
    again = find_images(str(tmp_path))
    assert again == images
    picture(tmp_path / "0.png", value=0.95)
    assert find_images(str(tmp_path)).digest != images.digest


def test_subfolders_named_train_and_test_decide(tmp_path):
    picture(tmp_path / "train" / "b.png")
    picture(tmp_path / "test" / "a.png")
    images = find_images(str(tmp_path))
    assert [f.name for f in images.train] == ["b.png"]
    assert [f.name for f in images.test] == ["a.png"]


def test_two_images_are_enough_and_one_is_not(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="holds 1 readable images, too few"):
        find_images(str(tmp_path))
    picture(tmp_path / "b.png")
    assert len(find_images(str(tmp_path)).train) == 1


def test_a_useless_source_gets_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    picture(tmp_path / "file.png")
    for source, message in (
        (tmp_path / "empty", "holds 0 readable images"),
        (tmp_path / "broken", "cannot read the image a.png"),
        (tmp_path / "nowhere", "no folder"),
        (tmp_path / "file.png", "no folder"),
        ("sett14", "did you mean set14"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            find_images(str(source))
        assert "\n" not in str(caught.value)


def test_a_truncated_image_is_named(tmp_path):
    whole = picture(tmp_path / "a.png", size=(300, 300))
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(UserError, match=r"cannot read the image a\.png"):
        crops((whole,), 1, 32, 1, 0)


def test_an_absurd_image_is_refused_before_it_is_decoded(tmp_path):
    file = picture(tmp_path / "huge.png", size=(1, 1))
    data = bytearray(file.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # the header promises 3.6 gigapixels
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    file.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"too large|more than"):
        find_images(str(tmp_path))


def test_a_download_that_fails_is_a_clear_line(monkeypatch, tmp_path):
    import deepinv.datasets

    def offline(root, download):
        raise ConnectionError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(deepinv.datasets, "Set14HR", offline)
    with pytest.raises(UserError, match=r"cannot download set14 \(ConnectionError\)"):
        find_images("set14")


def test_a_download_is_a_folder_like_any_other(monkeypatch, tmp_path):
    import deepinv.datasets

    def online(root, download):
        for i in range(4):
            picture(tmp_path / "eqgrad" / "set14" / "Set14_HR" / f"{i}.png", value=i / 5)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(deepinv.datasets, "Set14HR", online)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    images = find_images("set14")
    assert (images.source, len(images.train), len(images.test)) == ("set14", 3, 1)


def test_crops_follow_their_seed():
    files = find_images().train
    a, b, c = (crops(files, 1, 32, 3, seed) for seed in (0, 0, 1))
    assert a.shape == (3, 1, 32, 32)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
