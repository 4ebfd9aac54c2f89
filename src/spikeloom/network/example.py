"""A small network to start from."""

from __future__ import annotations

from .connection import Connection
from .decoder import Decoder
from .encoder import Encoder
from .group import NeuronGroup
from .network import Network


class ExampleNet(Network):
    """`ExampleNet()`: 784 Poisson inputs, `layer1` of 100 and `layer2` of 10 `lif` neurons, joined in full.

    Its members are input, layer1, layer2, connection1, connection2 and the decoder output, which counts the spikes of
    layer2: a classifier of 28 x 28 images once it is trained.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.input = Encoder(num=784, coding_method="poisson")
        self.layer1 = NeuronGroup(num=100, model="lif")
        self.layer2 = NeuronGroup(num=10, model="lif")
        self.connection1 = Connection(self.input, self.layer1, link_type="full")
        self.connection2 = Connection(self.layer1, self.layer2, link_type="full")
        self.output = Decoder(num=10, dec_target=self.layer2, coding_method="spike_counts")
