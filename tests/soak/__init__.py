"""A soak: mixed traffic for minutes, after which nothing must have been kept."""
