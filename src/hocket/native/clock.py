"""The monotonic clock, in seconds: what `time.monotonic` reads.

The compiled twin asks the kernel's ``CLOCK_MONOTONIC`` without a Python call.  Drivers are the only users: everything
above asks its driver.
"""

from __future__ import annotations

from time import get_clock_info
from time import monotonic as monotonic

#: The smallest step of the clock, in seconds.
RESOLUTION: float = get_clock_info("monotonic").resolution
