"""NeuroBridge: guided by hippocampal segmentation, atrophy and reconstruction."""
