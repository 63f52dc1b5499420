"""How results look in a terminal: pure functions from JSON values to rich renderables."""
