"""Nothing measured is lost: damaged records, full disks, and runs that are killed."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace

import pytest

from bench.records.record import Record
from bench.records.store import Manifest, Store
from bench.utils.atomic_files import Unwritable, make_folder, publish, write_atomically
from bench.utils.errors import UserError
from tests.resilience import kills as killing
from tests.resilience.corpus import KEY, a_record
from tests.resilience.disk import calls
from tests.resilience.kills import kills
from tests.resilience.runs import ask, begin, complete, table
from tests.resilience.study import page, read, store
from tests.resilience.throughput import Side, Throughput

MANIFEST = Manifest("p", "", "i", "cpu", [KEY])


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path / "out")
    store.claim(MANIFEST)
    return store


def put(store, content):
    (store.rows / f"{KEY}.json").write_bytes(content)


def test_a_record_cut_short_at_any_length_is_detected_and_set_aside(folder):
    whole = a_record().to_json().encode() + b"\n"
    for length in range(len(whole) - 1):
        put(folder, whole[:length])
        assert folder.read(KEY) is None, length
        assert folder.damaged([KEY]) == [KEY]
    put(folder, whole[:-1])
    assert folder.read(KEY) == a_record(), "all but the last line break is there"


def test_a_flipped_byte_is_never_another_record(folder):
    whole = a_record().to_json().encode()
    seen = 0
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            try:
                found = Record.from_json(flipped.decode())
            except ValueError:
                seen += 1
            else:
                assert found == a_record(), (at, bit)  # 1e-05 as 1E-05
    assert seen > 0.99 * 8 * len(whole)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b'"',
        a_record().to_json().replace("10", "11").encode(), replace(a_record(), key="f" * 20).to_json().encode()],
)  # fmt: skip
def test_damaged_records_are_kept_aside_one_by_one(folder, damage):
    for number in range(3):
        put(folder, damage)
        assert folder.damaged([KEY]) == [KEY]
        aside = folder.set_aside(KEY)
        assert aside.name == f"{KEY}.{number}.json"
        assert aside.read_bytes() == damage
    folder.write(a_record())
    assert folder.read(KEY) == a_record()


def test_a_folder_in_place_of_a_record_is_set_aside(folder):
    (folder.rows / f"{KEY}.json").mkdir()
    assert folder.damaged([KEY]) == [KEY]
    assert folder.set_aside(KEY).is_dir()
    folder.write(a_record())
    assert folder.finished(KEY)


@pytest.mark.process
def test_damaged_records_of_a_run_are_measured_again(tmp_path):
    """Each in another way: every one with a notice, and the table is what it was."""
    asked = ask(tmp_path)
    assert begin(asked).end() == 0
    before = table(asked.out)
    files = sorted((asked.out / "rows").glob("*.json"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    files[2].write_bytes(files[3].read_bytes())
    files[4].write_bytes(files[4].read_bytes().replace(b'"seed": 0', b'"seed": 1').replace(b"0.", b"1."))
    files[5].unlink()
    files[5].mkdir()
    assert begin(asked).end() == 0
    said = (tmp_path / "stderr").read_text()
    for i in (0, 1, 2, 4, 5):
        assert f"the record {files[i].stem} was damaged: it is in " in said
    assert said.count("was damaged") == 5
    assert len(list((asked.out / "damaged").iterdir())) == 5
    assert table(asked.out) == before
    assert complete(before)


@pytest.mark.parametrize("call", ["mkstemp", "fsync", "link"])
@pytest.mark.parametrize("write", [publish, write_atomically])
def test_a_disk_that_is_full_is_said_and_leaves_nothing_half_way(write, call, tmp_path, monkeypatch):
    if (write, call) == (write_atomically, "link"):
        pytest.skip("it links nothing")
    file = tmp_path / "a.json"
    if write is write_atomically:
        write(file, "old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile if call == "mkstemp" else os, call, full)
    if call == "link":  # as on a disk without links: renamed, and whole
        assert write(file, "new")
        assert file.read_text() == "new"
    else:
        with pytest.raises(Unwritable, match="No space"):
            write(file, "new")
        assert [f.read_text() for f in tmp_path.iterdir()] == ["old"] * (write is write_atomically)
    assert len(list(tmp_path.iterdir())) == (call == "link" or write is write_atomically)


def test_a_record_is_flushed_before_it_has_its_name(tmp_path, monkeypatch):
    """Power may fail at any time: what has a name has its contents."""
    events, flush, link, rename = [], os.fsync, os.link, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append("flush"), flush(handle))[1])
    monkeypatch.setattr(os, "link", lambda *names: (events.append("name"), link(*names))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (events.append("name"), rename(*names))[1])
    assert publish(tmp_path / "a", "x")
    assert events == ["flush", "name", "flush"], "contents, name, folder"


def test_the_first_writer_wins(tmp_path):
    assert publish(tmp_path / "a", "first")
    assert not publish(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.process
def test_what_killed_writers_left_is_cleared_up_an_hour_later_and_nothing_else(folder, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: os._exit(9))
    child = os.fork()
    if child == 0:  # killed with a temporary file on the disk
        folder.write(a_record())
    os.waitpid(child, 0)
    monkeypatch.undo()
    (left,) = [file for file in folder.rows.iterdir() if file.name.startswith(".")]
    kept = [folder.rows / f"{KEY}.json", folder.rows / ".mine.json", folder.rows / ".x.part"]
    for file in kept:
        file.write_text("")
        os.utime(file, (0, 0))
    folder.claim(MANIFEST)
    assert left.exists(), "its writer may be at it"
    os.utime(left, (0, 0))
    folder.claim(MANIFEST)
    assert not left.exists()
    assert all(file.exists() for file in kept)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unwritable, match="cannot write below in"):
        make_folder(tmp_path / "file" / "below")


def test_a_run_killed_before_it_had_its_manifest_goes_on(tmp_path):
    store = Store(tmp_path / "out")
    store.claim(MANIFEST)
    (store.folder / "manifest.json").rename(store.folder / ".manifest.json.abc")
    store.claim(MANIFEST)
    assert store.manifest() == MANIFEST
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="holds other files"):
        Store(tmp_path / "mine").claim(MANIFEST)


@pytest.mark.process
@pytest.mark.slow
def test_nothing_is_lost_to_kills(tmp_path):
    tally = kills(2, tmp_path)
    assert tally.clean()
    assert tally.kills.total() == 2
    assert tally.finished >= 1
    assert tally.told > 0


@pytest.mark.process
@pytest.mark.slow
def test_a_loss_would_be_seen(tmp_path):
    """The tally has teeth: a record that was told of and is gone, one that changed, and one that is torn."""
    asked = ask(tmp_path)
    assert begin(asked).end() == 0
    known, tally = {}, killing.Tally()
    killing._look(asked, known, tally)
    assert tally.clean()
    gone, changed, torn = (asked.out / "rows" / f"{key}.json" for key in asked.noted("told")[:3])
    gone.unlink()
    changed.write_bytes(changed.read_bytes() + b" ")
    torn.write_bytes(torn.read_bytes()[:50])
    killing._look(asked, known, tally)
    assert tally.lost == 3 + 2
    assert tally.torn == 1


@pytest.mark.process
@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_with_room(tmp_path):
    early, late = calls(1, tmp_path / "early"), calls(1, tmp_path / "late", first=30)
    assert [point.code for point in (*early, *late)] == [2, 1]
    assert all(point.clean() for point in (*early, *late)), (early, late)
    assert late[0].stored > 3


def test_the_page_has_a_command_beside_every_figure(tmp_path):
    row = killing.Tally(finished=1, equal=1).row()
    store(tmp_path, "kills", "python -m tests.resilience kills --times 3", 1.0, [row])
    text = (tmp_path / "report.md").read_text()
    assert "| `python -m tests.resilience kills --times 3` | 1 | 0 kill −9" in text
    assert page(read(tmp_path)) == text
    (tmp_path / "rows.json").write_text("[")
    with pytest.raises(UserError, match="is broken"):
        read(tmp_path)


def test_the_throughput_is_that_of_rounds_held_against_each_other(tmp_path):
    sides = [Side(0, 1, 80, 76), Side(1, 2, 90, 81), Side(2, 3, 50, 90), Side(2, 3, 40, 70)]
    sides += [Side(1, 2, 60, 57), Side(0, 1, 50, 49)]
    found = Throughput("quick", 20, 2, sides)
    assert found.gains(1) == [1.8, 1.5]
    assert found.gains(0) == [1.6, 1.25]
    assert found.outside(1) == pytest.approx((0.1 + 0.05) / 2)
    (_, report) = store(tmp_path, "throughput", "python -m …", 1.0, [found.row()])
    assert "2 workers have 1.65 × the throughput of one (1.80, 1.50)" in report.read_text()
