"""Tests of prompts: cases beside a template, with assertions on the prompt and on the answer."""
