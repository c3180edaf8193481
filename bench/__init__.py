"""The benchmark: solvers × imaging tasks × depths, measured, stored and reported."""
