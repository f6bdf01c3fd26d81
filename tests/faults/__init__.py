"""Faults: what the network, the kernel and the peer can do to a connection, and what must not come of it."""
