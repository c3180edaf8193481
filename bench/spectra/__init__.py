"""Bounds on the eigenvalues of ``AᵀA`` of a linear physics, each with its basis: exact, proven or estimated."""

from .adjoint import check_adjoint
from .enclosure import known_enclosure, spectrum_of
from .spectrum import Basis, HasSpectrum, Spectrum

__all__ = ["Basis", "HasSpectrum", "Spectrum", "check_adjoint", "known_enclosure", "spectrum_of"]
