"""Ask a language model, on queries whose answers are known, which way of prompting works."""
