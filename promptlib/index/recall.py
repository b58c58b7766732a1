"""How much of what is nearest a search must find."""

RECALL = 0.98
"""The share of the 10 nearest that a search of a large store finds, unless told otherwise."""
