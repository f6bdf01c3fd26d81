"""Load and faults: many connections, peers that do not read, no descriptors left, and nothing leaked."""
