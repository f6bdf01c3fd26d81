"""Servers and peers that nobody here wrote, started for the test on loopback, against hocket: a file a peer.

``.ci/servers`` and ``nox -s servers`` run them; what each needs, it names: programs in ``PROGRAMS``, packages in
``PACKAGES``.
"""
