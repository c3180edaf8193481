"""Forward solvers: they solve ``x = T(x)`` without a tape."""
