"""``python -m bench``: see README.md."""

import signal
import sys

from bench.run import main

if __name__ == "__main__":
    # Whoever ends a run gets what had been measured, with Ctrl-C or without.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
