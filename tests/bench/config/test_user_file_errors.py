"""What is wrong with a file of a user is one line."""

from __future__ import annotations

import textwrap

import pytest

from bench.config.lookup import parse_user_task
from bench.config.matrix import cells, load_profile
from bench.utils.errors import UserError
from tests.helpers.commands import refused
from tests.helpers.user_files import MINE, written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.py:mine(3)", "there is no Python file nowhere.py"),
        ("{mine}:mien(3)", "defines no function mien; did you mean mine"),
        ("{mine}:MINE", "defines no function MINE"),
        ("{mine}", "write PATH/FILE.py:NAME"),
        ("{mine}:", "write PATH/FILE.py:NAME"),
        ("{mine}:mine", "missing a required argument: 'N'"),
        ("{mine}:mine(3, 4, 5)", "too many positional arguments"),
        ("{mine}:mine(51)", "N is at most 50"),
        ("{mine}:mine('a')", "arguments are plain numbers"),
        ("{mine}:mine(3).forward_solver", "write a call such as"),
        ("{mine}:noisy", "returns Task, not a solvers.Solver"),
        ("{mine}:Reach(3)", "a forward solver stands inside one: implicit("),
        ("{bad}:jfb(3)", "the project has a jfb of its own: rename yours"),
        ("{bad}:masked(3)", "its label jfb(3) is that of a solver of the project"),
        ("{bad}:disguised(3)", "its label deq(1, 2, 3) is that of a solver of the project"),
        ("{bad}:unnamed(3)", "its label must be a line"),
        ("{bad}:nothing(3)", "returns nothing, not a solvers.Solver"),
        ("{bad}:fails(3)", "raises ZeroDivisionError: division by zero (line 3 of bad.py)"),
        ("{bad}:local(3)", "define its classes and functions at the top of the file"),
        ("{bad}:plain(3)", "make its parts frozen dataclasses"),
        ("implicit({bad}:step, gmres(0.1))", "missing a required argument: 'T'; write step(T, x0)"),
        ("{raises}:x(1)", "the file raises RuntimeError: no luck (line 3 of raises.py)"),
        ("{syntax}:x(1)", "the file raises SyntaxError: '(' was never closed (line 2 of syntax.py)"),
        ("{leaves}:x(1)", "the file raises SystemExit"),
        ("implicit({mine}:Reach(3), {other}:Reach(4))", "two files define Reach"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(mine, tmp_path, capsys, text, message):
    bad = written(
        tmp_path,
        """\
        def fails(N): return 1 / 0
        def masked(N): return Solver("jfb(3)", FixedSteps(3), TruncatedBackprop(1))
        def disguised(N): return Solver("deq(1, 2, 3)", FixedSteps(3), TruncatedBackprop(1))
        def unnamed(N): return Solver("two\\nlines", FixedSteps(3), TruncatedBackprop(1))
        def nothing(N): pass
        def step(T, x0): return FixedSteps(3)(T, x0)
        def local(N): return Solver("local(3)", lambda T, x0: FixedSteps(3)(T, x0), TruncatedBackprop(1))
        def plain(N): return Solver("plain(3)", step, TruncatedBackprop(1))
        """,
    )
    bad.write_text(bad.read_text().replace("def fails", "\ndef fails", 1))
    names = {
        "mine": mine,
        "bad": bad,
        "raises": written(tmp_path, "\nraise RuntimeError('no\\nluck')", "raises.py"),
        "syntax": written(tmp_path, "x = (", "syntax.py"),
        "leaves": written(tmp_path, "import sys; sys.exit()", "leaves.py"),
        "other": written(tmp_path, "from dataclasses import dataclass\n" + MINE, "other.py"),
    }
    out = tmp_path / "out"
    command = ["run", "smoke", "--out", str(out), "--device", "cpu", "--solver", text.format(**names)]
    assert message in refused(capsys, command)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{mine}:mine(3)", "returns Solver, not a bench.tasks.Task"),
        ("{mine}:coarse(0.5)", "a prior stands inside one: deblurring("),
        ("{mine}:noisy(3)", "raises AttributeError"),
        ("{mine}:noisy(noise=0)", None),
        ("{task}:crooked", "crooked raises ZeroDivisionError: division by zero (line 9 of task.py)"),
    ],
)
def test_what_is_wrong_with_a_task_is_one_line_before_anything_is_written(
    mine, tmp_path, capsys, text, message
):
    (tmp_path / "task.py").write_text(
        textwrap.dedent("""\
        from dataclasses import dataclass
        from bench.penalties import huber
        from bench.tasks import Task

        @dataclass(frozen=True)
        class Crooked:
            sigma: float = 1.0
            def __call__(self, shape, rng, dtype, device):
                return 1 / 0

        def crooked():
            return Task("crooked", Crooked(), (0.1,), huber(), 1.0)
        """)
    )
    if message is None:
        assert parse_user_task(text.format(mine=mine)).value.noise == (0,)
        return
    out = tmp_path / "out"
    text = text.format(mine=mine, task=tmp_path / "task.py")
    assert message in refused(capsys, ["run", "smoke", "--out", str(out), "--device", "cpu", "--task", text])
    assert not out.exists()


def test_two_that_a_table_could_not_tell_apart_are_refused(mine, tmp_path):
    other = written(tmp_path, MINE + "# another", "other.py")
    with pytest.raises(UserError, match=r"two of --solver are called mine\(7\)"):
        cells(load_profile("smoke"), None, [f"{mine}:mine(7)", f"{other}:mine(7)"])
    (first, *_) = cells(load_profile("smoke"), None, [f"{mine}:mine(7)"] * 2)
    assert len({str(cell) for cell in first}) == len(first)
