"""Tables and figures of the fractal frontier, from the results of the experiments."""
