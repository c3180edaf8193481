"""The operators of a matrix: names, which cells there are, users' own, and bad input in a line."""

from __future__ import annotations

import json
import pickle

import pytest

from bench.__main__ import entry
from bench.analysis.tidy import tidy
from bench.config.call_syntax import arguments, family, method_label, solver_of
from bench.config.lookup import parse_operator, parse_solver, parse_task, parse_user_operator
from bench.config.matrix import Cell, cells, load_profile, parse_user_cell, refusal
from bench.measurement.reference_cache import reference_task
from bench.operators import SPLITTINGS, admm, douglas_rachford, forward_backward, peaceman_rachford
from bench.records.record import Record
from bench.utils.errors import UserError
from tests.helpers.profiles import TINY

MINE = """
from dataclasses import dataclass
from bench.operators import douglas_rachford
from bench.operators.douglas_rachford import DouglasRachfordSplitting
from bench.tasks import deblurring

def averaged(alpha=0.7):
    return DouglasRachfordSplitting(f"averaged({alpha:g})", alpha, None, 0)

def my_task():
    from dataclasses import replace
    return replace(deblurring(), label="my_task", splitting=averaged(0.6))

def nothing():
    return 3
"""


def profile(tmp_path, operators):
    file = tmp_path / "some.toml"
    file.write_text(TINY.replace("solvers =", f"operators = {json.dumps(operators)}\nsolvers =", 1))
    return load_profile(str(file))


def test_a_method_names_its_operator_unless_it_is_forward_backward():
    assert method_label("jfb(2)", "forward_backward") == "jfb(2)"
    method = method_label("restarted_jfb(10, 4)", "peaceman_rachford(depth=10)")
    assert method == "restarted_jfb(10, 4) on peaceman_rachford(depth=10)"
    assert family(method) == "restarted_jfb on peaceman_rachford"
    assert (solver_of(method), arguments(method)) == ("restarted_jfb(10, 4)", "10, 4; depth=10")


def test_every_operator_is_made_by_its_name_and_travels():
    for name in SPLITTINGS:
        splitting = parse_operator(name)
        assert parse_operator(splitting.label) == splitting
        assert pickle.loads(pickle.dumps(splitting)) == splitting
    assert parse_operator("admm(2)") == admm(2.0) == douglas_rachford(gamma=0.5)


def test_a_profile_multiplies_its_tasks_by_its_operators(tmp_path):
    plain = [c for part in cells(profile(tmp_path, ["forward_backward"])) for c in part]
    both = [c for part in cells(profile(tmp_path, ["forward_backward", "peaceman_rachford"])) for c in part]
    assert len(both) == 2 * len(plain)
    assert [str(c) for c in both if c.task.splitting == forward_backward()] == [str(c) for c in plain]
    assert {c.task.label for c in both} == {c.task.label for c in plain}, "the same problem"
    whole = profile(tmp_path, ["forward_backward", "peaceman_rachford"])
    chosen = [c for part in cells(whole, operators=["peaceman_rachford"]) for c in part]
    assert [str(c) for c in chosen] == [str(c) for c in both if c.task.splitting == peaceman_rachford()]
    with pytest.raises(UserError, match="unknown operator in this profile"):
        cells(whole, operators=["admm"])


def test_operators_of_one_equilibrium_share_a_reference_and_others_have_their_own(tmp_path):
    whole = profile(tmp_path, ["forward_backward", "douglas_rachford", "half_quadratic"])
    tasks = {c.task.splitting.label: c.task for part in cells(whole) for c in part if c.seed == 0}
    a, b, c = (reference_task(tasks[n]) for n in ("forward_backward", "douglas_rachford", "half_quadratic"))
    assert repr(a) == repr(b) != repr(c)
    assert tasks["half_quadratic"].label == tasks["forward_backward"].label + ", half_quadratic"


def test_a_users_operator_and_the_operator_of_a_users_task(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    mine = f"{tmp_path}/mine.py"
    own = parse_user_operator(f"{mine}:averaged(0.8)")
    assert own.value.label == "averaged(0.8)"
    assert own.sources
    cell = parse_user_cell("deblurring", "jfb(2)", 0, operator=f"{mine}:averaged")
    assert cell.method == "jfb(2) on averaged(0.7)"
    assert cell.files
    assert parse_user_cell(f"{mine}:my_task", "jfb(2)", 0).method == "jfb(2) on averaged(0.6)"
    matrix = cells(profile(tmp_path, ["forward_backward"]), [f"{mine}:my_task"])
    assert {c.task.splitting.label for part in matrix for c in part} == {"averaged(0.6)", "forward_backward"}
    with pytest.raises(UserError, match="it returns int, not a bench"):
        parse_user_operator(f"{mine}:nothing")


@pytest.mark.parametrize(
    ("operator", "complaint"),
    [
        ("peaceman_rachfort", "did you mean peaceman_rachford"),
        ("peaceman_rachford(0)", "gamma must be a positive number"),
        ("peaceman_rachford(-1)", "gamma must be a positive number"),
        ("douglas_rachford(2)", "alpha must lie in (0, 2)"),
        ("douglas_rachford(1.5)", "alpha must lie below 2/(1 + δ)"),
        ("peaceman_rachford(1, depth=3)", "give one of them"),
        ("half_quadratic(0)", "gamma must be a positive number"),
        ("admm(0)", "rho must be a positive number"),
    ],
)
def test_a_bad_operator_is_one_line(operator, complaint, capsys, tmp_path):
    (tmp_path / "p.toml").write_text(TINY)
    words = ["cell", "--task", "deblurring(huber)", "--solver", "jfb(2)", "--operator", operator]
    assert entry([*words, "--profile", str(tmp_path / "p.toml"), "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("error: ")
    assert complaint in line


def test_what_an_operator_does_not_admit_is_a_line_that_says_what_to_do():
    coupled = parse_task("deblurring(orientations(coupled=True))")
    assert "choose" in peaceman_rachford().refusal(coupled.prior)
    with pytest.raises(UserError, match="none exists where the synthesis is learned"):
        parse_user_cell("deblurring(orientations(coupled=True))", "jfb(2)", 0, operator="admm")
    layered = parse_task("deblurring(dncnn(layers=3))")
    assert "unrolled(3)" in refusal(layered, parse_solver("jfb(2)"))
    assert not refusal(layered, parse_solver("unrolled(3)"))


def test_records_of_older_versions_are_of_forward_backward():
    record = Record("k" * 20, "quality", "t", "jfb(2)", "c", 0, "ok", "", {}, {}, {})
    old = {k: v for k, v in json.loads(record.to_json()).items() if k not in ("operator", "checksum")}
    assert "operator" not in old
    assert record.method == "jfb(2)"
    other = Record("k" * 20, "quality", "t", "jfb(2)", "c", 0, "ok", "", {}, {}, {}, "admm")
    assert other.identity != record.identity
    frame = tidy([record, other])
    assert list(frame["solver"]) == ["jfb(2)", "jfb(2) on admm"]
    assert list(frame["operator"]) == ["forward_backward", "admm"]
    assert list(frame["family"]) == ["jfb", "jfb on admm"]
    assert not frame["peer"].any()


def test_a_cell_says_its_operator():
    cell = Cell(parse_task("denoising"), parse_solver("jfb(2)"), 0)
    assert str(cell) == "denoising(huber) · jfb(2) · seed 0"
