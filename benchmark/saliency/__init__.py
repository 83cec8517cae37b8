"""Where in a volume a fitted model sees its evidence, and whether the maps can be believed.

Modules are imported one by one: scoring maps needs no torch, making them does.
"""
