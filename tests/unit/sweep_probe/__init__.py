"""A small method for the tests of sweeps: it notes whom it was shown."""
