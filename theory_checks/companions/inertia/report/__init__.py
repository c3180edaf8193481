"""Tables and figures of the inertial deep inverse prior, from the results of the experiments."""
