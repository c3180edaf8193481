"""Maps, solvers and solutions, and the checks of what a user hands in."""
