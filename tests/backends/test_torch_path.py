"""The reference path keeps the contract of all paths."""

import pytest
from path_contract import PathContract

from spikeloom.backends import TorchPath


class TestTorchPath(PathContract):
    @pytest.fixture
    def path(self):
        return TorchPath()
