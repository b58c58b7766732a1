"""Prompts of other tools as templates of ours."""
