"""A network for the tests of several processes, as a third party would install it."""
