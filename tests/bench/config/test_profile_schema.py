"""Profiles are data: what is in them becomes cells, and what is wrong with them a line."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.config.matrix import cells, load_profile
from bench.config.profile_schema import RENAMED_KEYS, profile_names
from bench.utils.errors import UserError
from bench.utils.provenance import ROOT
from solvers import ESTIMATORS
from tests.helpers.profiles import TINY


@pytest.mark.parametrize("name", profile_names())
def test_the_profiles_of_the_project_are_readable(name):
    profile = load_profile(name)
    assert profile.name == name
    matrix, *further = cells(profile)
    assert len(further) == len(profile.blocks)
    assert all(further)
    on_first = [cell for cell in matrix if cell.task.splitting.label == profile.operators[0]]
    assert len(on_first) == len(profile.tasks) * len(profile.solvers) * len(profile.seeds)
    assert {cell.task.splitting.label for cell in matrix} == set(profile.operators)
    assert len({str(c) for c in matrix}) == len(matrix)
    for written, cell in zip(profile.solvers, matrix, strict=False):
        assert written == cell.solver.label, "write a solver in a profile as it stands in the tables"
    assert {t.label for t in (c.task for c in matrix)} == set(profile.tasks)


def test_quick_has_the_matrix_it_promises():
    profile = load_profile("quick")
    families = {s.split("(")[0] for s in profile.solvers}
    assert {"unrolled", "jfb", "restarted_jfb", "deq"} <= families
    for family in ("restarted_jfb", "deq"):
        assert sum(s.startswith(family + "(") for s in profile.solvers) >= 2
    operators = {operator for part in profile.parts() for operator in part.operators}
    assert operators == {"forward_backward", "peaceman_rachford(depth=10)"}
    assert {t.split("(")[0] for t in profile.tasks} == {"denoising", "deblurring", "inpainting"}
    assert len(profile.seeds) >= 2


def test_paper_is_the_papers():
    profile = load_profile("paper")
    found = [cell for part in cells(profile) for cell in part]
    depths = {f"restarted_jfb({depth})" for depth in ("1, 1", "1, 10", "10, 0", "10, 1", "10, 10")}
    tasks = {cell.task.label for cell in found}
    assert {(cell.task.label, cell.solver.label) for cell in found} == {(t, s) for t in tasks for s in depths}
    assert (len(found), len(tasks)) == (70, 14)
    assert all("_colour" in task for task in tasks)
    assert {part.images.crop for part in profile.parts()} == {256}


def test_a_part_of_a_profile(tiny_file):
    profile = load_profile(str(tiny_file))
    (some,) = cells(profile, ["denoising(l1)"], ["unrolled(2)", "deq(tol=1e-8)"])
    assert [str(c) for c in some] == [
        "denoising(l1) · unrolled(2) · seed 0",
        "denoising(l1) · deq(1e-08) · seed 0",
        "denoising(l1) · unrolled(2) · seed 1",
        "denoising(l1) · deq(1e-08) · seed 1",
    ]
    with pytest.raises(
        UserError, match=r"unknown solver in this profile 'unrolled\(3\)'; did you mean unrolled\(2\)"
    ):
        cells(profile, None, ["unrolled(3)"])


BLOCK = """
[[blocks]]
tasks = ["inpainting(l1)"]
solvers = ["unrolled(2)", "jfb(7)"]
seeds = [5]
training = { steps = 1, learning_rate = 0.1, batch = 2, clip = 1.0 }
"""


def test_a_block_adds_cells_that_are_measured_its_own_way(tmp_path):
    file = tmp_path / "blocks.toml"
    file.write_text(TINY + BLOCK)
    profile = load_profile(str(file))
    first, second = profile.parts()
    assert first.training == profile.training
    assert (second.training.steps, second.training.clip, second.seeds) == (1, 1.0, [5])
    assert (second.images, second.dtype) == (profile.images, profile.dtype)
    _, added = cells(profile)
    assert [str(c) for c in added] == [
        "inpainting(l1) · unrolled(2) · seed 5",
        "inpainting(l1) · jfb(7) · seed 5",
    ]
    # A task or a solver may be asked for wherever it stands.
    assert [len(part) for part in cells(profile, solvers=["jfb(7)"])] == [0, 1]
    assert [len(part) for part in cells(profile, solvers=["unrolled(2)"])] == [4, 1]


SIZE = """
[[blocks]]
tasks = ["denoising(l1)"]
solvers = ["unrolled(2)"]
images = { crop = 64, train = 2, test = 1 }
"""


def test_the_same_cell_may_be_measured_at_other_sizes_and_not_twice_at_one(tmp_path):
    file = tmp_path / "sizes.toml"
    file.write_text(TINY + SIZE + SIZE.replace("64", "128"))
    assert [part.images.crop for part in load_profile(str(file)).parts()] == [32, 64, 128]
    batches = SIZE.replace(
        "images = { crop = 64", "training = { steps = 0, learning_rate = 1.0, batch = 2 }\n#"
    )
    file.write_text(TINY + batches)
    assert [part.training.batch for part in load_profile(str(file)).parts()] == [1, 2]
    # Two crops in all: a batch of 2 and one of 3 are the same.
    again = batches.replace("batch = 2", "batch = 3")
    for text in (SIZE + SIZE, SIZE.replace("64", "32"), batches + again):
        file.write_text(TINY + text)
        with pytest.raises(UserError, match=r"denoising\(l1\) · unrolled\(2\) · seed 0, crop .* twice"):
            load_profile(str(file))


def test_growth_and_gpu_ask_for_enough_sizes_and_no_reference():
    for name in ("growth", "gpu"):
        parts = load_profile(name).parts()
        assert {part.oracle.budget for part in parts} == {0}
        assert {part.training.steps for part in parts} == {0}
        assert all(part.images.mirror and part.images.train == part.training.batch for part in parts)
        for task in {task for part in parts for task in part.tasks}:
            crops = {part.images.crop for part in parts if part.training.batch == 1 and task in part.tasks}
            assert len(crops) >= 3


def test_the_rows_of_choosing_that_need_no_other_library_are_measured_on_a_gpu():
    page = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    rows = page.split("quoted: costs")[1].split("end of the quote")[0]
    ours = {row for row in re.findall(r"^\| `([^`]+)` \|", rows, re.M) if row.split("(")[0] in ESTIMATORS}
    (part,) = [part for part in load_profile("gpu").parts() if part.dtype == "float64"]
    assert set(part.solvers) == ours
    assert (part.images.crop, part.tasks) == (256, ["deblurring(huber)"])


def test_a_profile_that_became_part_of_another_says_which():
    with pytest.raises(UserError, match="the profile cost is part of gpu now: run gpu"):
        load_profile("cost")


def test_warm_starts_are_not_for_layers_of_their_own(tiny_file):
    warm = TINY.replace("steps = 3", "steps = 3\nwarm_start = true")
    tiny_file.write_text(warm)
    assert load_profile(str(tiny_file)).training.warm_start
    task = '"denoising(dncnn(layers=2))"'
    tiny_file.write_text(warm.replace('"denoising(huber)"', task))
    with pytest.raises(UserError, match=r"has layers of its own: training\.warm_start cannot") as caught:
        load_profile(str(tiny_file))
    assert "\n" not in str(caught.value)
    tiny_file.write_text(TINY.replace('"denoising(huber)"', task))
    assert load_profile(str(tiny_file))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [5]", "seedz = [5]", "unknown key 'seedz'; did you mean seeds"),
        ("clip = 1.0", "clop = 1.0", "unknown key 'clop'; did you mean clip"),
        ("clip = 1.0", "clip = -1.0", "blocks.0.training.clip: input should be greater than 0"),
        ("jfb(7)", "jbf(7)", "unknown solver 'jbf'; did you mean jfb"),
    ],
)
def test_what_is_wrong_in_a_block_is_one_line(tmp_path, old, new, message):
    file = tmp_path / "blocks.toml"
    file.write_text(TINY + BLOCK.replace(old, new))
    with pytest.raises(UserError, match=message):
        load_profile(str(file))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 3", "stepz = 3", "unknown key 'stepz'; did you mean steps"),
        ("seeds = [0, 1]", "seedss = [0, 1]", "unknown key 'seedss'; did you mean seeds"),
        ("[timing]", "[timings]", "unknown key 'timings'; did you mean timing|timing is missing"),
        ("steps = 3", "steps = -3", "training.steps: input should be greater than or equal to 0, not -3"),
        ("steps = 3", 'steps = "3"', "training.steps: input should be a valid integer"),
        ("learning_rate = 0.2", "learning_rate = nan", "training.learning_rate"),
        ("seeds = [0, 1]", "seeds = []", "seeds: list should have at least 1 item"),
        ('dtype = "float64"', 'dtype = "float16"', "dtype: input should be 'float32' or 'float64'"),
        ('dtype = "float64"', "", "the key dtype is missing"),
        ("unrolled(2)", "unroled(2)", "unknown solver 'unroled'; did you mean unrolled"),
        ("denoising(huber)", "denoising(hubr)", "did you mean huber"),
        ("name =", "name", "is not TOML"),
        ('"tiny"', '"../tiny"', "name: string should match pattern"),
    ],
)
def test_a_wrong_profile_is_a_clear_line(tiny_file, old, new, message):
    assert old in TINY
    tiny_file.write_text(TINY.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        load_profile(str(tiny_file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", sorted(RENAMED_KEYS))
def test_an_old_key_is_a_line_with_the_new_one(tiny_file, old):
    message = f"profile {tiny_file}: {old} is now {RENAMED_KEYS[old]}"
    table, _, key = old.rpartition(".")
    head = f"[{table}]\n" if table else "\n"
    tiny_file.write_text(TINY.replace(head, f"{head}{key} = 1\n", 1))
    with pytest.raises(UserError) as caught:
        load_profile(str(tiny_file))
    assert str(caught.value) == message


def test_old_keys_of_blocks_are_in_one_line(tiny_file):
    tiny_file.write_text(
        TINY + BLOCK.replace("training =", 'step = "eager"\ntraining =').replace("learning_rate", "rate")
    )
    with pytest.raises(UserError) as caught:
        load_profile(str(tiny_file))
    assert str(caught.value).endswith(": training.rate is now training.learning_rate, step is now execution")


def test_an_unknown_profile_names_its_neighbours():
    assert profile_names() == [
        "gpu",
        "growth",
        "learning",
        "modalities",
        "operators",
        "paper",
        "paper-small",
        "pareto",
        "plug-and-play",
        "quick",
        "smoke",
    ]
    with pytest.raises(UserError, match="did you mean quick"):
        load_profile("quik")
    with pytest.raises(UserError, match="cannot read the profile"):
        load_profile("/nowhere/at/all.toml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_profile_or_a_clear_error(tmp_path, data):
    file = tmp_path / "any.toml"
    file.write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_profile(str(file))
    assert "\n" not in str(caught.value).replace("\\n", "")


def test_what_changes_a_cell_and_not_its_task_stands_in_its_label(tiny_file):
    """Otherwise two blocks that measure the same otherwise could not be told apart."""
    block = "\n[[blocks]]\n"
    compiled, warm = (
        block + 'execution = "compiled"\n',
        block + "training = { steps = 3, learning_rate = 1.0, batch = 1, warm_start = true }\n",
    )
    tiny_file.write_text(TINY + compiled + warm)
    labels = [part[0].task.label for part in cells(load_profile(str(tiny_file)))]
    assert labels == ["denoising(huber)", "denoising(huber), compiled", "denoising(huber), warm"]
    # A task that is asked for is asked for in all its ways.
    assert [len(part) for part in cells(load_profile(str(tiny_file)), ["denoising(huber)"])] == 3 * [6]
    assert [len(part) for part in cells(load_profile(str(tiny_file)), ["denoising(l1)"])] == 3 * [6]
    assert len({part[0].task for part in cells(load_profile(str(tiny_file)))}) == 1  # one reference for all
    tiny_file.write_text(TINY + block + 'dtype = "float32"\n')
    labels = [part[0].task.label for part in cells(load_profile(str(tiny_file)))]
    assert labels == ["denoising(huber)", "denoising(huber), float32"]
    tiny_file.write_text(TINY + block)
    with pytest.raises(UserError, match="twice"):
        load_profile(str(tiny_file))


def test_the_page_on_profiles_names_every_key_and_its_example_loads(tmp_path):
    page = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    file = tmp_path / "mine.toml"
    file.write_text(example)
    profile = load_profile(str(file))
    assert [len(part) for part in cells(profile)] == [2, 1]
    words = set(re.findall(r"\w+", page))
    for table in (
        profile,
        *(getattr(profile, name) for name in ("images", "training", "equilibrium", "oracle", "timing")),
    ):
        assert set(type(table).model_fields) <= words
