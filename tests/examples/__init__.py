"""Every file under examples/, run as a reader would run it."""
