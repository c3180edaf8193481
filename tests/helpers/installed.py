"""A wheel that is built and installed as a user installs it, beside the packages of this interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path


def uv(*words: str) -> None:
    """Run ``uv``; its error ends the test."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *words], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, where neither the checkout nor its folder is on the path.

    Attributes:
        environment: its folder.
        folder: where commands run.
    """

    environment: Path
    folder: Path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        return self.shell(f'{program} "$@"', *words)

    def shell(self, line: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a line of sh, with its arguments."""
        hidden = {"PYTHONPATH", "VIRTUAL_ENV", "EQGRAD_COMMIT"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        kept["PATH"] = f"{self.environment / 'bin'}{os.pathsep}{kept['PATH']}"
        kept["HOME"] = str(self.folder)
        command = ["sh", "-c", line, "sh", *words]
        return subprocess.run(
            command, cwd=self.folder, env=kept, capture_output=True, text=True, timeout=600, check=False
        )


def install(wheel: Path, environment: Path, folder: Path) -> Installed:
    """Install a wheel in a new environment that has the packages of this interpreter too."""
    uv("venv", "--python", sys.executable, str(environment))
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    # Torch and deepinv are not installed a second time.
    (Path(paths["purelib"]) / "others.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    uv("pip", "install", "--no-deps", "--python", str(environment / "bin" / "python"), str(wheel))
    return Installed(environment, folder)
