"""Where what hocket counts and sees can go, one place a module.  Each needs the library of its field."""
