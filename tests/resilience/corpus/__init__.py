"""Input that no user should get away with, hand-made and random; none of it is valid."""

from __future__ import annotations

from tests.resilience.corpus.calls import calls
from tests.resilience.corpus.files import images, picture, weights
from tests.resilience.corpus.profiles import profiles
from tests.resilience.corpus.records import KEY, a_record, manifests, records

__all__ = ["KEY", "a_record", "calls", "images", "manifests", "picture", "profiles", "records", "weights"]
