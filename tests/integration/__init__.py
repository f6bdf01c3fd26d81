"""Real programs and libraries on hocket's loop, against real servers, clients and processes."""
