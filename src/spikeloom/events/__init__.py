"""Event-camera streams: `Events`, their files, filters, transforms and representations."""

from .container import Events

__all__ = ["Events"]
