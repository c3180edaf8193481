"""The tiny profile, loaded."""

from __future__ import annotations

from bench.config.matrix import load_profile


def tiny(tiny_file, **changes):
    profile = load_profile(str(tiny_file))
    return profile.model_copy(update={"training": profile.training.model_copy(update=changes)})
