"""What can be learned from labelled vectors without a language model."""
