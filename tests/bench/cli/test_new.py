"""``new`` writes what works as it is, under a name that nothing else has, and over nothing."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys

import pytest
import torch

from bench.__main__ import entry
from bench.cli.new import TemplateKind, write_templates
from bench.config.lookup import parse_user_solver, parse_user_task
from bench.utils.errors import UserError
from bench.utils.provenance import ROOT
from tests.helpers.commands import refused


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three templates, as a user gets them."""
    into = tmp_path_factory.mktemp("mine")
    for kind in TemplateKind:
        write_templates(kind, f"my_{kind}", into)
    return into


def test_the_command_writes_two_files_and_says_what_to_try(tmp_path, capsys):
    assert entry(["new", "solver", "quasi", "--into", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == [str(tmp_path / "quasi.py"), str(tmp_path / "test_quasi.py")]
    assert f"--solver '{tmp_path}/quasi.py:quasi(10)'" in captured.err
    assert f"check '{tmp_path}/quasi.py:quasi(10)'" in captured.err


def test_what_it_writes_is_short_and_holds_no_placeholder(folder):
    for file in folder.glob("*.py"):
        text = file.read_text()
        assert "NAME" not in text
        assert "KLASS" not in text
        assert str(ROOT) not in text
        assert len(text.splitlines()) <= 70
        assert max(map(len, text.splitlines())) <= 120


def test_the_templates_can_be_called_on_the_command_line(folder):
    assert parse_user_solver(f"{folder}/my_solver.py:my_solver(10)").value.label == "my_solver(10)"
    assert (
        parse_user_solver(f"{folder}/my_solver.py:my_solver(10, 1e-6)").value.label == "my_solver(10, 1e-06)"
    )
    assert (
        parse_user_task(f"{folder}/my_task.py:my_task(every=3)").value.label
        == "my_task(huber, every=3, noise=0.05)"
    )
    nested = parse_user_task(f"deblurring({folder}/my_operator.py:my_operator(0.1))").value
    assert nested.label == "deblurring(my_operator(0.1))"
    assert pickle.loads(pickle.dumps(nested)) == nested
    with pytest.raises(UserError, match="every must be a whole number of at least 2, not 1"):
        parse_user_task(f"{folder}/my_task.py:my_task(every=1)")


@pytest.mark.process
def test_the_templates_pass_their_own_tests(folder):
    """By plain pytest in the user's folder, as their docstrings say."""
    files = [f"test_my_{kind}.py" for kind in TemplateKind]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *files]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert all(f"{file}::" in found.stdout for file in files)
    assert "FAILED" not in found.stdout


@pytest.mark.process
def test_the_test_of_a_template_has_teeth(folder, tmp_path):
    """A step whose fixed point is another's, and no gradient for a step size that says it has one."""
    test = (folder / "test_my_solver.py").read_text()
    (tmp_path / "test_my_solver.py").write_text(test)
    text = (folder / "my_solver.py").read_text()
    assert "0.5 * (x + T(x))" in text
    (tmp_path / "my_solver.py").write_text(text.replace("0.5 * (x + T(x))", "0.4 * (x + T(x))"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_solver.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "FAILED test_my_solver.py::test_conformance[agrees_with_oracle]" in found.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["solver", "deq"], "the project has a solver called deq"),
        (["solver", "anderson"], "the project has a part of a solver called anderson"),
        (["task", "denoising"], "the project has a task called denoising"),
        (["operator", "drunet"], "the project has a prior called drunet"),
        (["solver", "Mine"], "take lower-case letters"),
        (["solver", "lambda"], "take lower-case letters"),
        (["solver", "../mine"], "take lower-case letters"),
        (["solver", "torch"], "would hide the Python module torch"),
        (["solver", "operator"], "would hide the Python module operator"),
        (["solver", "bench"], "would hide the Python module bench"),
        (["reach", "mine"], "'reach' is not one of 'solver', 'task', 'operator'"),
    ],
)
def test_a_name_that_cannot_be_taken_is_one_line(tmp_path, capsys, words, message):
    assert message in refused(capsys, ["new", *words, "--into", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_nothing_is_written_over(tmp_path, there):
    (tmp_path / there).write_text("mine already")
    with pytest.raises(UserError, match="is there already"):
        write_templates(TemplateKind.solver, "mine", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine already"
    with pytest.raises(UserError, match="is no folder"):
        write_templates(TemplateKind.solver, "mine", tmp_path / "nowhere")


def test_no_class_has_the_name_of_what_the_template_imports(tmp_path):
    for name in ("prior", "solver", "task", "report", "solution"):
        if importlib.util.find_spec(name) is None:
            write_templates(TemplateKind.operator, name, tmp_path)
            task = parse_user_task(f"denoising({tmp_path}/{name}.py:{name}(0.1))").value
            assert task.label == f"denoising({name}(0.1))"
            assert task.prior.operator((1, 8, 8), 1.0, torch.float64, "cpu").contraction((0.0, 1.0)) > 0
