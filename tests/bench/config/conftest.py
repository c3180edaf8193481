"""Files of a user."""

from __future__ import annotations

import pytest

from tests.helpers.user_files import MINE


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file
