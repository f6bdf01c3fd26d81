"""The parts of the engine one by one: each file tests one module of the package, on both legs."""
