"""Tables, figures, exports and the page of a run."""
