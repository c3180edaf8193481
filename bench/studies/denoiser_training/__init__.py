"""Train and evaluate the denoisers whose weights the project ships."""
