"""Examples in and out of files: JSONL, CSV, TSV, Parquet, compressed or not."""
