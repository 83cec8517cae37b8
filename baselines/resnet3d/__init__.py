"""3D residual network on T1w volumes."""
