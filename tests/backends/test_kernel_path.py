"""The kernel path keeps the contract of all paths, also when it spares memory or shares the work."""

import pytest
import torch
from path_contract import PathContract

from spikeloom.backends.kernel_path import KernelPath


class TestKernelPath(PathContract):
    @pytest.fixture
    def path(self):
        return KernelPath(torch.float64)


class TestSparingKernelPath(PathContract):
    @pytest.fixture
    def path(self):
        return KernelPath(torch.float64, sparing=True)


class TestSharedKernelPath(PathContract):
    @pytest.fixture
    def path(self):
        return KernelPath(torch.float64, threads=2)
