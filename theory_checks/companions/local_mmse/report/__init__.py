"""Tables and figures of LE-MMSE, from the results of the experiments."""
