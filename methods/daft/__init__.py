"""DAFT: a 3D ResNet whose last feature maps the clinical table scales and shifts."""
