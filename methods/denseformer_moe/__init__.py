"""DenseFormer-MoE: a densely connected stem, a vision transformer, experts chosen by each task."""
