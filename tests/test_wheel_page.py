"""docs/deepinv.md runs where only the wheel, without extras, and deepinv are installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import skimage
from skimage.io import imsave

from bench.utils.provenance import ROOT
from tests.helpers.installed import uv

PAGE = ROOT / "docs" / "deepinv.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
PSNR = """
import json, torch

torch.manual_seed(0)
exec(compile(open("page.py").read(), "page.py", "exec"))
truth = torch.stack([photographs[i]["x"] for i in range(len(photographs))])
y = blur(truth)

def psnr(x):
    return -10 * float((x.detach() - truth).square().mean((1, 2, 3)).log10().mean())

found = {"file": eqgrad.__file__, "measured": psnr(y), "learned": psnr(learned(y, blur))}
found |= {"image": list(reconstruction.shape), "rows": len(rows)}
print("\\n" + json.dumps(found))
"""


def test_the_example_has_at_most_fifteen_lines():
    assert len([line for line in BLOCKS[1].splitlines() if line.strip()]) <= 15


@pytest.mark.slow
def test_the_page_runs_where_the_wheel_and_deepinv_are_installed_and_nothing_else(wheel, tmp_path):
    home = tmp_path / "environment"
    uv("venv", "--python", sys.executable, str(home))
    python = home / "bin" / "python"
    uv("pip", "install", "--python", str(python), str(wheel), "deepinv>=0.5,<0.6")
    (tmp_path / "photographs").mkdir()
    for name in ("camera", "astronaut", "coffee", "chelsea"):
        imsave(tmp_path / "photographs" / f"{name}.png", getattr(skimage.data, name)())
    operator, training, *further = BLOCKS
    page = "\n".join([operator, training, "learned = copy.deepcopy(model)", *further])
    (tmp_path / "page.py").write_text(f"import copy\n{page}", encoding="utf-8")
    (tmp_path / "run.py").write_text(PSNR, encoding="utf-8")
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(python), "run.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["file"].startswith(str(home))
    assert found["learned"] > found["measured"] + 3
    assert found["image"] == [1, 1, 64, 64]
    assert found["rows"] == 4
