"""Event files: read, written, converted, streamed and searched by time, in any of the formats that FORMATS names."""

from .columns import Columns
from .event_file import EventFile, Summary
from .format import Damage
from .formats import FORMATS
from .writing import convert, read_events, write_events

__all__ = [
    "FORMATS",
    "Columns",
    "Damage",
    "EventFile",
    "Summary",
    "convert",
    "read_events",
    "write_events",
]
