"""Labelled examples in a database: kept, merged, never lost."""
