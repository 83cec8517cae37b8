"""Simple fully convolutional network for brain age."""
