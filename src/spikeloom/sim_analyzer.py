"""The analyser under EvoSpikeNet's module path; `python -m spikeloom.sim_analyzer SESSION [--no-plots]` runs it."""

import argparse
import sys

from .analysis import SimulationAnalyzer

__all__ = ["SimulationAnalyzer"]


def main() -> None:
    """Writes the summary of a session to the terminal, and its plots into the session's folder `plots`."""
    parser = argparse.ArgumentParser(description="Analyses a recorded session.")
    parser.add_argument("session")
    parser.add_argument("--no-plots", action="store_true")
    arguments = parser.parse_args()
    with SimulationAnalyzer(arguments.session) as analyzer:
        sys.stdout.write(analyzer.generate_summary_report())
        if not arguments.no_plots:
            analyzer.save_plots()


if __name__ == "__main__":
    main()
