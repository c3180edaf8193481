"""Maps, solvers and solutions, and checks of user input."""
