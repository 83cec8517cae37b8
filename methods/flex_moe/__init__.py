"""Flex-MoE: a bank for missing modalities and experts for combinations of modalities."""
