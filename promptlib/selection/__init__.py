"""Ranking a shortlist and ordering what was chosen."""
