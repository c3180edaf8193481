"""Other libraries: known issues, each measured, and the smallest budgets that reach an error."""
