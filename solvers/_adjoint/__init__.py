"""Adjoint solvers: they solve ``u = v + Jᵀu`` at one taped application."""
