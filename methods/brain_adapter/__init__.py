"""Brain-Adapter: a small trainable adapter in front of frozen encoders of volumes and reports."""
