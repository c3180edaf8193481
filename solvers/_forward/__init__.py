"""Forward solvers: they approach ``x = T(x)`` without a tape."""
