"""Correlations between regions and a linear model."""
