"""Whether an answer is right: metrics by kind of task, and assertions. Pure."""
