"""Whether an answer is right: metrics by kind of task, or a function of one's own."""
