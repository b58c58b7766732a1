"""What is wrong with the rows of a store, with reasons, and what would mend it."""
