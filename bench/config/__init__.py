"""Profiles, and the solvers and tasks that they name."""

from .lookup import parse_solver, parse_task
from .matrix import Cell, cells, load_profile
from .profile_schema import Profile, profile_names

__all__ = ["Cell", "Profile", "cells", "load_profile", "parse_solver", "parse_task", "profile_names"]
