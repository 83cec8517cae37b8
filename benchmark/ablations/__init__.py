"""Published claims, tested here: arms against each other, over several seeds."""
