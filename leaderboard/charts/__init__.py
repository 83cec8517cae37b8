"""Charts: pure functions from a table to an Altair chart; no input, no output, no statistics."""
