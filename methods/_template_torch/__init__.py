"""Template method."""
