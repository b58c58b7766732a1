"""Counting tokens and fitting examples into a budget."""
