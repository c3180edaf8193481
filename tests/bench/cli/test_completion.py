"""A shell that has read the script completes commands, options and profiles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import entry
from bench.cli.completion import Shell, completion_script

ASKED = """
{script}
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_bench_completion
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(words: str) -> set[str]:
    made = completion_script(Shell.bash).replace("python -m", f"{sys.executable} -m")
    done = subprocess.run(
        ["bash", "-c", ASKED.format(script=made, words=words)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "some"),
    [
        ("bench ''", {"run", "report", "compare", "list", "new"}),
        ("bench ru", {"run"}),
        ("bench run sm", {"smoke"}),
        ("bench run smoke --ou", {"--out"}),
        ("bench cell --so", {"--solver"}),
    ],
)
def test_bash_completes(words, some):
    assert some <= completed(words)


@pytest.mark.parametrize("shell", Shell)
def test_the_script_asks_the_command_and_defines_the_function(shell):
    made = completion_script(shell)
    assert "_BENCH_COMPLETE" in made
    asking = [line for line in made.splitlines() if "_BENCH_COMPLETE" in line]
    for line in asking:
        assert line.count("_BENCH_COMPLETE") == line.count("python -m bench")


def test_other_shells_are_told_in_a_line(capsys):
    assert entry(["completion", "csh"]) == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.mark.process
def test_the_command_answers_help_without_the_libraries_that_it_computes_with():
    code = "import sys, bench.__main__; print(*[m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "", done.stdout
