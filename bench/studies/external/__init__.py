"""Other libraries: their known issues, measured, and the smallest budgets that reach an error."""
