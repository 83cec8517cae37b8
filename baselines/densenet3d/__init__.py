"""3D DenseNet on T1w volumes."""
