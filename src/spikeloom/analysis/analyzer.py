"""The analyser of recorded sessions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..recording import Session
from ..storage import write_atomically
from . import plots
from .behavior import node_behavior
from .labels import drawable
from .overview import name_in
from .recorded import RecordedLayer
from .report import Section, write_report
from .session_measures import SessionMeasures
from .sessions import Analysis, report_of
from .steps import StepSequence
from .summary import summary_text
from .windows import accumulate


class SimulationAnalyzer(SessionMeasures):
    """The analyser of one recorded session; a context manager, which closes the session's files also when forgotten.

    Rates are corrected for sub-sampling; what sub-sampling spoils raises UnsupportedError with the reason. A node or
    layer that was not recorded raises UnknownNameError.
    """

    def __init__(self, path: str | Path) -> None:
        self.session = Session(path)
        weakref.finalize(self, self.session.close)
        self._analysis: Analysis | None = None

    def __enter__(self) -> SimulationAnalyzer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the session's files."""
        self.session.close()

    def get_recorded_nodes(self) -> list[str]:
        """The nodes of the session."""
        return self.session.nodes()

    def get_recorded_layers(self, node_id: str) -> list[str]:
        """The layers of a node whose spikes were recorded."""
        return self.session.layers(node_id)

    def get_spike_data(self, node_id: str, layer_name: str, sample: int = 0) -> tuple[NDArray[np.int64], StepSequence]:
        """The model time (ns) of each recorded step, and the spikes of each as (N,) int8, of one sample.

        The spikes are read when they are asked for, so that the recording may be bigger than memory.
        """
        steps = StepSequence(self.session, node_id, layer_name, sample)
        return steps.timestamps, steps

    def plot_spike_raster(
        self,
        node_id: str,
        layer_name: str,
        max_neurons: int = 100,
        save_path: str | Path | None = None,
        sample: int = 0,
    ) -> Figure:
        """The raster of the first `max_neurons` recorded neurons of one sample, also saved when there is a path."""
        layer = self._sampled(node_id, layer_name, sample)
        n, duration = len(layer.neurons), layer.n_steps * layer.dt
        found = plots.RasterAccumulator(n, duration, sample=sample, max_neurons=max_neurons)
        accumulate(layer.windows(), found)
        title = drawable(name_in(self.session, node_id, layer_name)) + _which(layer, sample)
        return _saved(found.result(title=title, runs=layer.stretches_ms), save_path)

    def plot_firing_rate_timeline(
        self,
        node_id: str,
        layer_name: str,
        bin_size_ms: float = 50.0,
        save_path: str | Path | None = None,
        sample: int = 0,
    ) -> Figure:
        """The population rate of one sample over time, also saved when there is a path."""
        layer = self._sampled(node_id, layer_name, sample)
        found = self.compute_population_rate(node_id, layer_name, bin_size_ms)
        figure = plots.rate_timeline(
            found._replace(rate=found.rate[sample : sample + 1]),
            title=f"Firing rate of {drawable(name_in(self.session, node_id, layer_name))}{_which(layer, sample)}",
            runs=layer.stretches_ms,
        )
        return _saved(figure, save_path)

    def save_plots(
        self, folder: str | Path | None = None, progress: Callable[[float], None] | None = None
    ) -> list[Path]:
        """The paths of the raster and timeline of each layer, saved in `plots/` of the session or in `folder`.

        progress is told the share (0..1) of the pictures that were drawn.
        """
        folder = self.session.path / "plots" if folder is None else Path(folder)
        layers = [(node, layer) for node in self.get_recorded_nodes() for layer in self.get_recorded_layers(node)]
        paths = []
        for k, (node, layer) in enumerate(layers, start=1):
            paths += [folder / f"{node}_{layer}_{kind}.png" for kind in ("raster", "timeline")]
            self.plot_spike_raster(node, layer, save_path=paths[-2])
            self.plot_firing_rate_timeline(node, layer, save_path=paths[-1])
            if progress is not None:
                progress(k / len(layers))
        return paths

    def load_control_states(self) -> list[dict[str, Any]]:
        """The control states of all nodes in the order of simulated time."""
        return self.session.control_states()

    def analyze_node_behavior(self, node_id: str) -> dict[str, Any]:
        """The fields of `Behavior`: task_active_ratio, unique_statuses, step_range, ..., by simulated time."""
        return node_behavior(self.load_control_states(), node_id)._asdict()

    def analysis(self, progress: Callable[[float], None] | None = None) -> Analysis:
        """All measures that reports show, of all layers; made once, when first asked for, in one pass through each.

        progress is told the share (0..1) of the spikes that were read.
        """
        if self._analysis is None:
            self._analysis = Analysis.of(self.session, progress=progress)
        return self._analysis

    def generate_summary_report(self, path: str | Path | None = None) -> str:
        """A summary of the session as text, also written when there is a path."""
        text = summary_text(self.analysis())
        if path is not None:
            write_atomically(path, text.encode())
        return text

    def generate_html_report(
        self, path: str | Path | None = None, progress: Callable[[float], None] | None = None
    ) -> Path:
        """The path of one HTML file with all measures and pictures, by default report.html in the session's folder.

        progress is told the share (0..1) of the sections that were written.
        """
        target = self.session.path / "report.html" if path is None else path
        analysis = self.analysis()
        sections = report_of(analysis)
        if progress is not None:
            sections = _told(sections, 3 + len(analysis.measures), progress)
        return write_report(target, self.session.title, sections)

    def _sampled(self, node: str, layer: str, sample: int) -> RecordedLayer:
        """A layer that has this sample in all runs."""
        recorded = RecordedLayer.of(self.session, node, layer)
        recorded.check_sample(sample)
        return recorded


def _which(layer: RecordedLayer, sample: int) -> str:
    """Which sample a picture shows, behind the name of its layer; nothing where each run has but one."""
    counts = {run.n_samples for run in layer.runs}
    if counts == {1}:
        return ""
    least, most = min(counts), max(counts)
    batch = f"{most}" if least == most else f"{least} to {most}"
    return f", sample {sample} of {batch}" + (" in each run" if len(layer.runs) > 1 else "")


def _told(sections: Iterator[Section], n: int, progress: Callable[[float], None]) -> Iterator[Section]:
    for k, section in enumerate(sections, start=1):
        yield section
        progress(min(1.0, k / n))


def _saved(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        plots.save(figure, path)
    return figure
