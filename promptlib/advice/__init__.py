"""Demonstrations or training: what a store's examples, prices and outcomes speak for."""
