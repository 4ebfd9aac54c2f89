"""Link types: the structure of a connection, one kind a file."""

from ...registry import Registry
from .conv import Conv, Pool
from .full import Full
from .link import Ends, Gradients, Link, Signal, Wanted
from .one_to_one import OneToOne
from .rows import SpikeRows
from .sparse import Sparse

LINKS: Registry[type[Link]] = Registry("link type")
for _link in (Full, OneToOne, Sparse, Conv, Pool):
    LINKS.add(_link.name, _link)

__all__ = [
    "LINKS",
    "Conv",
    "Ends",
    "Full",
    "Gradients",
    "Link",
    "OneToOne",
    "Pool",
    "Signal",
    "Sparse",
    "SpikeRows",
    "Wanted",
]
