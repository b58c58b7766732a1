"""Findings as pages and pictures."""
