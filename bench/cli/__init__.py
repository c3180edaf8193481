"""The commands of ``python -m bench``, a file each; they import what they need when they run."""
