"""Profiles and what stands in them: which cells a run measures, and how a name becomes a solver or a task."""

from .lookup import parse_solver, parse_task
from .matrix import Cell, cells, load_profile
from .profile_schema import Profile, profile_names

__all__ = ["Cell", "Profile", "cells", "load_profile", "parse_solver", "parse_task", "profile_names"]
