"""Choosing measured on a store's own examples, without a language model."""
