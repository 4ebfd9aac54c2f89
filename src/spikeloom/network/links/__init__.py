"""Link types: the structure of a connection, one kind a file."""

from ...registry import Registry
from .conv import Conv, Pool
from .conv_transpose import ConvTranspose
from .distance import Distance
from .drawn import Drawn
from .full import Full
from .link import Ends, Gradients, Link, Signal, Wanted
from .local import Local
from .null import Null
from .one_to_one import OneToOne
from .random import Random
from .rows import SpikeRows
from .sparse import Sparse, SynapseList

LINKS: Registry[type[Link]] = Registry("link type")
for _link in (Full, OneToOne, Sparse, Conv, Pool, ConvTranspose, Random, Distance, Local, Null):
    LINKS.add(_link.name, _link)
LINKS.add("lateral", "spikeloom.network.links.lateral:Lateral")

__all__ = [
    "LINKS",
    "Conv",
    "ConvTranspose",
    "Distance",
    "Drawn",
    "Ends",
    "Full",
    "Gradients",
    "Link",
    "Local",
    "Null",
    "OneToOne",
    "Pool",
    "Random",
    "Signal",
    "Sparse",
    "SpikeRows",
    "SynapseList",
    "Wanted",
]
