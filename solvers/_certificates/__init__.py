"""Upper bounds on the error of a gradient, and what they are computed from."""
