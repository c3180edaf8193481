"""Studies that are no matrix of cells: certificates, trajectories, largest images, other libraries, quoted figures."""
