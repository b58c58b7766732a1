"""Checks of templates: what is wrong with them, what they cost, how many examples fit."""
