"""Analyses a recorded session: python examples/sim_analyzer.py SESSION [--no-plots] [--report FILE]."""

import sys

from spikeloom.cli import main

if __name__ == "__main__":
    main(["analyze", *sys.argv[1:]])
