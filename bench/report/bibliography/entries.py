"""The works that eqgrad builds on; a field that could not be looked up is left out."""

from __future__ import annotations

from .estimators import ESTIMATORS, LIBRARIES
from .images import IMAGES
from .iterations import ITERATIONS
from .theories import THEORIES

ENTRIES = (*ESTIMATORS, *ITERATIONS, *IMAGES, *THEORIES, *LIBRARIES)
BY_KEY = {entry.key: entry for entry in ENTRIES}
