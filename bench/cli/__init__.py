"""The commands of ``python -m bench``, a file each; a command imports heavy libraries only when it runs."""
