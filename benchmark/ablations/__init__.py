"""Published claims, tested here: arms that differ in one thing, over several seeds."""
