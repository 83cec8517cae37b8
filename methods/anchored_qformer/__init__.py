"""Joint adaptation of encoders of four modalities: Q-formers write into each one's input."""
