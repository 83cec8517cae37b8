"""A method for the tests of the core, as a third party would install it."""
