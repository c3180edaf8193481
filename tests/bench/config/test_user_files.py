"""Files of a user on the command line: found, carried along, keyed by content."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sys

import pytest
import torch

from bench.__main__ import entry
from bench.config.lookup import parse_solver, parse_task, parse_user_solver, parse_user_task
from bench.config.matrix import Cell, cells, load_profile
from bench.config.user_files import resolve
from bench.execution.preparation import images_for, plan_jobs
from bench.execution.runner import run_profile
from bench.records.record import SCHEMA, key_of
from bench.records.store import Store
from bench.report.report import write_report
from bench.utils.errors import UserError
from bench.utils.provenance import ROOT, TIMING, fingerprint, versions
from solvers import FixedSteps, ImplicitDifferentiation, Picard, deq
from tests.helpers.user_files import MINE


def test_a_reference_may_stand_wherever_a_name_may(mine):
    given = parse_user_solver(f"{mine}:mine(7, tol=1e-4)")
    assert given.value.label == "mine(7)"
    assert given.value.backward_mode == ImplicitDifferentiation(Picard(1e-4))
    assert [source.file for source in given.sources] == ["mine.py"]
    nested = parse_user_solver(f"implicit( {mine}:Reach(3), picard(0.01))")
    assert (nested.value.label, nested.value.backward_mode) == (
        "implicit(reach(3), picard(0.01))",
        ImplicitDifferentiation(Picard(0.01)),
    )
    assert parse_user_task(f"{mine}:noisy(l1)").value.prior == parse_task("denoising(l1)").prior
    assert (
        parse_user_task(f"deblurring({mine}:coarse(0.5), blur=2)").value.label
        == "deblurring(coarse(0.5), blur=2)"
    )
    assert parse_user_task(f"{mine}:noisy({mine}:coarse)").value.label == "noisy(coarse(1), 0.2)"
    assert parse_user_solver("deq(1e-3)").value == deq(1e-3)
    assert parse_user_solver("deq(1e-3)").sources == ()


def test_a_path_may_hold_what_has_a_meaning_in_a_call(tmp_path):
    folder = tmp_path / "a (1), b=2"
    folder.mkdir()
    (folder / "mine.py").write_text(MINE)
    assert resolve(f"{folder}/mine.py:mine(3)").text == "mine(3)"


def test_what_is_data_names_no_file(mine, tmp_path, capsys):
    """Profiles and records are others': a path in them is never opened, let alone run."""
    bomb = tmp_path / "bomb.py"
    bomb.write_text(f"open({str(tmp_path / 'went off')!r}, 'w')")
    for parse, text in ((parse_solver, f"{bomb}:x(1)"), (parse_task, f"denoising({bomb}:x)")):
        with pytest.raises(UserError, match="profiles are data"):
            parse(text)
    profile = tmp_path / "p.toml"
    content = (ROOT / "bench/config/profiles/smoke.toml").read_text()
    profile.write_text(content.replace('"jfb(20)"', f'"{bomb}:x(1)"').replace('"smoke"', '"mine"'))
    assert entry(["run", str(profile), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "went off").exists()


def test_a_cell_carries_the_content_of_its_files_to_another_process(mine, tmp_path):
    """Even where the file has changed since: a run goes on with what it began with."""
    solver, task = parse_user_solver(f"{mine}:mine(7)"), parse_user_task(f"{mine}:noisy")
    cell = Cell(task.value, solver.value, 0, task.sources, solver.sources)
    told, carried = repr(cell), pickle.dumps(cell)
    mine.write_text("raise RuntimeError('edited')")
    del sys.modules[type(cell.solver.forward_solver).__module__]  # as in another process
    again = pickle.loads(carried)
    assert repr(again) == told
    assert type(again.solver.forward_solver) is not type(cell.solver.forward_solver)
    assert again.solver.forward_solver(lambda x: x / 2, torch.ones(1)).x == 0.5**7


def test_a_key_follows_the_content_and_nothing_else(mine, tmp_path):
    def key(file):
        given = parse_user_solver(f"{file}:mine(7)")
        return key_of(Cell(parse_task("denoising"), given.value, 0, (), given.sources), {}, "quality")

    before = key(mine)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text(MINE)
    assert key(tmp_path / "elsewhere" / "mine.py") == before
    mine.write_text(MINE + "# edited\n")
    assert key(mine) != before


def test_cells_without_files_have_the_keys_they_had():
    """The recipe of before there were files: stored results of the project's own cells stay what they are."""
    cell = Cell(parse_task("denoising"), deq(1e-3), 0)
    assert cell.files == {}
    decides = {
        "schema": SCHEMA,
        "kind": "cost",
        "task": repr(cell.task),
        "solver": repr(cell.solver),
        "seed": 0,
    }
    decides |= {"settings": {"a": 1}, "fingerprint": fingerprint(TIMING), "versions": versions()}
    text = json.dumps(decides, sort_keys=True, ensure_ascii=False)
    assert key_of(cell, {"a": 1}, "cost") == hashlib.sha256(text.encode()).hexdigest()[:20]


def test_own_cells_are_added_and_the_rest_stays(mine, tiny_file):
    profile = load_profile(str(tiny_file))
    plain = [c for part in cells(profile) for c in part]
    texts = [f"{mine}:mine(7)", "deq(1e-08)"]
    whole = [c for part in cells(profile, None, texts, whole=True) for c in part]
    some = [c for part in cells(profile, None, texts) for c in part]
    assert [c for c in whole if not c.files] == plain
    assert {(c.task.label, c.seed) for c in whole if c.files} == {(c.task.label, c.seed) for c in plain}
    assert {c.solver.label for c in some} == {"mine(7)", "deq(1e-08)"}
    task = f"{mine}:noisy"
    whole = [c for part in cells(profile, [task], texts[:1], whole=True) for c in part]
    some = [c for part in cells(profile, [task], texts[:1]) for c in part]
    assert {c.task.label for c in some} == {"noisy(huber, 0.2)"}
    assert len(whole) == 3 * 4 * 2
    assert len(some) == 2


def test_parts_of_a_profile_get_an_own_solver_once(mine, tiny_file):
    """Parts that differ in their solvers alone would get it twice, and no table could tell the two apart."""
    tiny_file.write_text(tiny_file.read_text() + '\n[[blocks]]\nsolvers = ["jfb(3)"]\n')
    for profile in (load_profile(str(tiny_file)), load_profile("learning")):
        lines = [
            (c.task.label, part.images.crop, part.training.batch, c.seed)
            for part, matrix in zip(profile.parts(), cells(profile, None, [f"{mine}:mine(7)"]), strict=True)
            for c in matrix
        ]
        assert lines
        assert len(set(lines)) == len(lines)


@pytest.mark.process
@pytest.mark.usefixtures("without_figures")
def test_a_run_adds_rows_and_keeps_the_stored_ones(mine, tiny_run, tiny_file, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(tiny_run, out)
    stored = {file.name for file in (out / "rows").glob("*.json")}
    profile = load_profile(str(tiny_file))
    options = {"device": torch.device("cpu"), "tasks": ["denoising(huber)"], "solvers": [f"{mine}:mine(7)"]}
    assert run_profile(profile, out, jobs=2, **options) == {"stored": 0, "ok": 3}
    records = list(Store(out).records())
    assert stored < {file.name for file in (out / "rows").glob("*.json")}
    assert len(records) == 18 + 3
    mine_too = [r for r in records if r.solver == "mine(7)"]
    assert {tuple(r.settings["files"].values()) for r in mine_too} == {("mine.py",)}
    assert all("files" not in r.settings for r in records if r.solver != "mine(7)")
    write_report(out)
    text = (out / "tables" / "tables.md").read_text()
    assert "mine(7)" in text
    assert "unrolled(2)" in text
    assert entry(["compare", str(out), str(tiny_run)]) == 0
    assert run_profile(profile, out, jobs=2, **options) == {"stored": 3}
    mine.write_text(MINE + "# edited\n")
    profile_cells = [c for part in cells(profile, options["tasks"], options["solvers"]) for c in part]
    parts = [(profile, profile_cells)]
    quality, cost = plan_jobs(parts, images_for(parts, None), torch.device("cpu"))
    assert not any(Store(out).finished(job.key) for job in (*quality, *cost))


def test_references_of_an_own_task_belong_to_its_content(mine, tmp_path):
    """Two versions of a task print as the same; their reference gradients must not be shared."""
    from bench.execution.cell_process import run_cell

    profile = load_profile("smoke")
    profile = profile.model_copy(
        update={"blocks": [], "training": profile.training.model_copy(update={"steps": 0})}
    )
    errors = []
    for content in (MINE, MINE.replace("return huber().operator", "return huber(0.05).operator")):
        mine.write_text(content)
        given = parse_user_task(f"denoising({mine}:coarse)")
        cell = Cell(given.value, deq(1e-10), 0, given.sources)
        (job,), _ = plan_jobs([(profile, [cell])], images_for([(profile, [cell])], None), torch.device("cpu"))
        (tmp_path / "rows").mkdir(exist_ok=True)
        errors.append(run_cell(job, tmp_path).values["hypergradient_error"])
    assert max(errors) < 1e-6


def test_the_command_measures_one_cell_of_a_file(mine, capsys):
    command = ["cell", "--profile", "smoke", "--task", "denoising(huber)", "--device", "cpu", "--json"]
    assert entry([*command, "--solver", f"{mine}:mine(30)"]) == 0
    mine_too = json.loads(capsys.readouterr().out)
    assert mine_too["solver"] == "mine(30)"
    assert list(mine_too["settings"]["files"].values()) == ["mine.py"]
    right = run_of(parse_solver("implicit(iterate(30), picard(0.001))"))
    assert mine_too["values"]["gradient"] == right


def run_of(solver):
    from bench.execution.cell_process import run_cell

    profile = load_profile("smoke")
    cell = Cell(parse_task("denoising(huber)"), solver, 0)
    assert solver.forward_solver == FixedSteps(30)
    (job,), _ = plan_jobs([(profile, [cell])], images_for([(profile, [cell])], None), torch.device("cpu"))
    return run_cell(job, None).values["gradient"]
