"""Looks at the rows of a store: likeness, quality, suspects."""
