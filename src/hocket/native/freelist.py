"""Objects that come and go by the thousand: their memory is kept, and the collector need not see them all.

The garbage collector looks through every container that it tracks, again and again.  One that is held by a loop that
runs, and by nobody else, can not be garbage: to look through it is lost time.  Such an object begins untracked, and is
tracked as soon as somebody else may hold it as well: then it could be part of a cycle that outlives the loop.
"""

from __future__ import annotations


def keep_spare(cls: type, count: int, tracked: bool = True) -> None:
    """From now on keep the memory of up to *count* objects of exactly this class, instead of giving it back.

    *cls* is a compiled class whose objects the garbage collector knows.  Unless *tracked*, its objects begin untracked,
    and whoever makes one must see to it that `track` is called in time.  Uncompiled classes, subclasses too, are the
    interpreter's affair: nothing happens.
    """


def track(candidate: object) -> None:
    """Let the garbage collector know of *candidate*, if it does not yet."""


def is_shared(candidate: object) -> bool:
    """Whether anybody but the caller holds *candidate*: then it is to be tracked."""
    return True


def drop_attributes(candidate: object) -> None:
    """Take the dictionary of attributes from *candidate*, which is new, as long as it is empty.

    The interpreter makes one when somebody sets an attribute.  Uncompiled it does so from the start.
    """
