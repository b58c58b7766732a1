"""Replicas of a store that find examples."""
