"""hocket's tests: a folder a concern, each run on the compiled and on the pure engine."""
