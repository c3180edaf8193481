"""A tiny study of certificates, run once."""

from __future__ import annotations

import json

import pytest

from bench.studies.certificates.study import certificate_study
from tests.helpers.certificates import TINY


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    told = []
    files = certificate_study(
        out, ("rigorous", "estimates", "depths", "overhead"), plan=TINY, progress=told.append
    )
    return out, files, told, json.loads((out / "rows.json").read_text())
