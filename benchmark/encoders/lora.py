"""Low-rank adapters in an encoder's query and value projections.

Source: Hu et al. 2022, LoRA, ICLR. PEFT puts the adapters in; each is the identity at first, since
its second factor is zero.
"""

from __future__ import annotations

from torch import nn

from benchmark.encoders.tokens import TokenEncoder

__all__ = ["add_lora"]


def add_lora(
    encoder: TokenEncoder, rank: int = 8, alpha: float = 16.0, dropout: float = 0.0
) -> list[nn.Parameter]:
    """Puts adapters into an encoder, in place; nothing else of it trains any more.

    Args:
        encoder: Any encoder that names its projections.
        rank: Rank of each update.
        alpha: The update is scaled by alpha / rank.
        dropout: On an adapter's input, while training; of a frozen encoder's adapters too.

    Returns:
        The adapters' parameters, all that is left to train.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        bias="none",
        target_modules=list(encoder.lora_targets),
    )
    encoder.requires_grad_(requires_grad=False)
    inject_adapter_in_model(config, encoder)
    return [p for name, p in encoder.named_parameters() if "lora_" in name]
