"""The analyser under EvoSpikeNet's module path; `python -m spikeloom.sim_analyzer SESSION [--no-plots]` runs it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .analysis import SimulationAnalyzer
from .errors import SpikeloomError

__all__ = ["SimulationAnalyzer", "analyze_session"]


def analyze_session(
    session: str | Path,
    report: str | Path | None = None,
    *,
    plots: bool = True,
    progress: Callable[[float], None] | None = None,
) -> tuple[str, dict[str, Path]]:
    """The summary of a session as text, and what was written: its HTML report and the folder of its pictures.

    report: the HTML file, by default report.html in the session. progress is told the share (0..1) that is done.
    """

    def part(begin: float, end: float) -> Callable[[float], None] | None:
        return None if progress is None else lambda share: progress(begin + share * (end - begin))

    with SimulationAnalyzer(session) as analyzer:
        analyzer.analysis(part(0, 0.5 if plots else 1))
        text = analyzer.generate_summary_report()
        if not plots:
            return text, {}
        path = analyzer.generate_html_report(report, part(0.5, 0.8))
        analyzer.save_plots(progress=part(0.8, 1))
        return text, {"report": path, "plots": analyzer.session.path / "plots"}


def main() -> None:
    """Writes the summary of a session to the terminal, and its report and pictures into the session's folder."""
    parser = argparse.ArgumentParser(description="Analyses a recorded session.")
    parser.add_argument("session")
    parser.add_argument("--no-plots", action="store_true")
    arguments = parser.parse_args()
    try:
        text, written = analyze_session(arguments.session, plots=not arguments.no_plots)
    except SpikeloomError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write("\n".join([text, *map(str, written.values()), ""]))


if __name__ == "__main__":
    main()
