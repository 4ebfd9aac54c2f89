"""What SPAIC's `Library` offers, under its module path."""

from .network import network_load, network_save

__all__ = ["network_load", "network_save"]
