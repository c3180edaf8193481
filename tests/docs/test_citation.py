"""How to cite."""

from __future__ import annotations

import tomllib
from pathlib import Path

from cffconvert import Citation

from bench.report.bibliography import BY_KEY

ROOT = Path(__file__).parents[2]


def test_the_citation_file_is_valid_and_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    citation = Citation(text)
    citation.validate()
    found = citation.cffobj
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found["title"] == project["name"]
    assert found["version"] == project["version"]
    assert found["license"] == project["license"]
    assert found["keywords"] == project["keywords"]
    (paper,) = found["references"]
    core = BY_KEY["davy2025restarted"]
    assert paper["title"] == core.fields["title"]
    assert str(paper["year"]) == core.fields["year"]
    assert paper["identifiers"][0]["value"] == f"arXiv:{core.eprint}"
    names = (f"{author['family-names']}, {author['given-names']}" for author in paper["authors"])
    assert " and ".join(names) == core.author
