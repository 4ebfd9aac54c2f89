"""What SPAIC's `Library` offers, under its module path."""

from .network import network_load, network_save
from .network.example import ExampleNet

__all__ = ["ExampleNet", "network_load", "network_save"]
