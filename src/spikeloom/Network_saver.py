"""The saving of networks under SPAIC's module path."""

from .network import network_load, network_save

__all__ = ["network_load", "network_save"]
