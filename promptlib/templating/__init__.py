"""Templates: files, front matter, messages, rendering."""
