"""Training and evaluation of the denoisers whose weights the project ships."""
