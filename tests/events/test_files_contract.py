"""Every registered event format keeps the contract."""

import pytest
from event_format_contract import EventFormatContract

from spikeloom.events.files import FORMATS


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].writable])
class TestFormats(EventFormatContract):
    pass
