"""The emulated device, as a fixture."""

from __future__ import annotations

import pytest

from tests.emulated.cuda import emulated


@pytest.fixture(scope="module")
def cuda():
    """``torch.device("cuda", 0)``, emulated until the last test of a file ends."""
    with emulated() as device:
        yield device
