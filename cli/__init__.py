"""The promptlib command: a client of the library, one file per group of commands."""
