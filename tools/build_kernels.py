"""Compiles the package's kernels anew where a header or a neuron has changed since the checkout was installed."""

import sys

from spikeloom.errors import CompilerError
from spikeloom.kernels import builtin
from spikeloom.native import build

if __name__ == "__main__":
    try:
        build.build([*build.sources(), *builtin.sources()], print, here=True)
    except CompilerError as error:
        sys.exit(str(error))
