"""The analyser of recorded sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import UnknownNameError, UnsupportedError
from ..recording import Sampling, Session
from ..recording.sampling import is_kept
from ..registry import did_you_mean
from ..spikes import Spikes
from ..storage import write_atomically
from . import plots
from .rates import firing_rate
from .sessions import gaps, name_in, times_of


class StepSequence(Sequence[NDArray[np.int8]]):
    """The spikes of one sample step by step: element k is the raster (N,), int8, of the k-th recorded step.

    An element is made when it is asked for; what is held are the events. A graded spike counts as 1.
    """

    def __init__(self, spikes: Spikes, recorded: NDArray[np.int64]) -> None:
        self._ids, self._n_neurons, self._recorded = spikes.ids, spikes.n_neurons, recorded
        self._begin = np.searchsorted(spikes.grid.step, recorded)
        self._end = np.searchsorted(spikes.grid.step, recorded, side="right")

    def __len__(self) -> int:
        return len(self._recorded)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.int8]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.int8]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.int8] | list[NDArray[np.int8]]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        step = np.zeros(self._n_neurons, np.int8)
        step[self._ids[self._begin[index] : self._end[index]]] = 1
        return step


class SimulationAnalyzer:
    """The analyser of one recorded session; a context manager.

    Rates are corrected for sub-sampling; what sub-sampling spoils raises UnsupportedError with the reason. A node or
    layer that was not recorded raises UnknownNameError.
    """

    def __init__(self, path: str | Path) -> None:
        self.session = Session(path)

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
        """The model time (ns) of each recorded step, and the spikes of each as (N,) int8, of one sample."""
        train, sampling = self._train(node_id, layer_name, sample)
        dt = train.grid.dt
        recorded = np.concatenate([np.arange(start, stop) for start, stop, _ in self.session.runs(node_id, layer_name)])
        if sampling.mode == "steps":
            recorded = recorded[is_kept(recorded, sampling.rate)]
        return np.rint(recorded * dt * 1e6).astype(np.int64), StepSequence(train, recorded)

    def compute_firing_rate(self, node_id: str, layer_name: str) -> dict[str, Any]:
        """The fields of `FiringRate` of a layer: mean_rate_hz, total_spikes, ..., over all samples."""
        return asdict(firing_rate(self.session, node_id, layer_name))

    def plot_spike_raster(
        self,
        node_id: str,
        layer_name: str,
        max_neurons: int = 100,
        save_path: str | Path | None = None,
        sample: int = 0,
    ) -> Figure:
        """The raster of the first `max_neurons` neurons of one sample, also saved when there is a path."""
        train, _ = self._train(node_id, layer_name, sample)
        name, runs = (
            name_in(self.session, node_id, layer_name),
            times_of(self.session.runs(node_id, layer_name), train.grid.dt),
        )
        return _saved(plots.raster(train, max_neurons=max_neurons, title=name, runs=runs), save_path)

    def plot_firing_rate_timeline(
        self,
        node_id: str,
        layer_name: str,
        bin_size_ms: float = 50.0,
        save_path: str | Path | None = None,
        sample: int = 0,
    ) -> Figure:
        """The population rate of one sample over time, also saved when there is a path."""
        train, sampling = self._train(node_id, layer_name, sample)
        if sampling.mode == "steps":
            raise UnsupportedError(
                f"{node_id}/{layer_name}: a timeline needs every step, but {sampling.rate:.3g} of them were recorded; "
                "use compute_firing_rate, or record with spike_subsample_mode='neurons'"
            )
        figure = plots.rate_timeline(
            train,
            bin_size_ms,
            recorded_fraction=sampling.recorded_fraction(0, train.grid.n_steps, train.n_neurons),
            title=f"Firing rate of {name_in(self.session, node_id, layer_name)}",
            runs=times_of(self.session.runs(node_id, layer_name), train.grid.dt),
        )
        return _saved(figure, save_path)

    def save_plots(self, folder: str | Path | None = None) -> list[Path]:
        """The paths of the raster and timeline of each layer, saved in `plots/` of the session or in `folder`."""
        folder = self.session.path / "plots" if folder is None else Path(folder)
        paths = []
        for node in self.get_recorded_nodes():
            for layer in self.get_recorded_layers(node):
                paths.append(folder / f"{node}_{layer}_raster.png")
                self.plot_spike_raster(node, layer, save_path=paths[-1])
                if self.session.sampling(node, layer).mode != "steps":
                    paths.append(folder / f"{node}_{layer}_timeline.png")
                    self.plot_firing_rate_timeline(node, layer, save_path=paths[-1])
        return paths

    def load_control_states(self) -> list[dict[str, Any]]:
        """The control states of all nodes in the order of their timestamps."""
        return self.session.control_states()

    def analyze_node_behavior(self, node_id: str) -> dict[str, Any]:
        """How a node spent its steps: records, task_active_ratio, unique_statuses, step_range, status_counts.

        A state lasts until the next record; `task_active_ratio` is the part of the steps with an active task, or of
        the records where all are of one step.
        """
        every = self.load_control_states()
        states = sorted((s for s in every if s["node_id"] == node_id), key=lambda s: int(s["step_count"]))
        if not states:
            known = sorted({state["node_id"] for state in every})
            hint = did_you_mean(node_id, known)
            raise UnknownNameError(
                f"no control states of node {node_id!r}{hint} Recorded: {', '.join(known) or 'none'}"
            )
        step = np.array([state["step_count"] for state in states])
        active = np.array([bool(state.get("active_task")) for state in states])
        lasts = np.diff(step) if step[-1] > step[0] else np.ones(len(states), int)
        statuses = [state["status"] for state in states]
        return {
            "records": len(states),
            "task_active_ratio": float(active[: len(lasts)] @ lasts / lasts.sum()),
            "unique_statuses": sorted(set(statuses)),
            "status_counts": {status: statuses.count(status) for status in sorted(set(statuses))},
            "step_range": (int(step[0]), int(step[-1])),
        }

    def generate_summary_report(self, path: str | Path | None = None) -> str:
        """A summary of the session as text, also written when there is a path."""
        statistics = self.session.statistics()
        lines = [self.session.title]
        if statistics.get("stopped_by"):
            lines.append(f"stopped by {statistics['stopped_by']}")
        for node in self.session.nodes():
            lines += ["", *([f"node {node}"] if len(self.session.nodes()) > 1 else []), *self._node_lines(node)]
        lines += gaps(self.session)
        states = self.load_control_states()
        if states:
            lines += ["", f"control states: {len(states)}"]
        for node in sorted({state["node_id"] for state in states}):
            behavior = self.analyze_node_behavior(node)
            lines.append(
                f"  {node}: {behavior['records']} records, task active {behavior['task_active_ratio']:.1%}, "
                f"{', '.join(behavior['unique_statuses'])}"
            )
        text = "\n".join(lines) + "\n"
        if path is not None:
            write_atomically(path, text.encode())
        return text

    def _node_lines(self, node: str) -> list[str]:
        lines = []
        for layer in self.session.layers(node):
            rate = firing_rate(self.session, node, layer)
            thinned = "" if rate.mode == "all" else f", {rate.recorded_fraction:.3g} recorded ({rate.mode})"
            lines.append(
                f"  {layer}: {rate.n_neurons:,} neurons, {rate.total_spikes:,} spikes, "
                f"{rate.mean_rate_hz:.1f} Hz in {rate.n_samples:,} samples, {rate.trial_s:.3f} s in all{thinned}"
            )
        others = {kind: self.session.layers(node, kind) for kind in ("membrane", "weights")}
        return lines + [f"  {kind}: {', '.join(layers)}" for kind, layers in others.items() if layers]

    def _train(self, node: str, layer: str, sample: int) -> tuple[Spikes, Sampling]:
        return self.session.train(node, layer, sample), self.session.sampling(node, layer)


def _saved(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        plots.save(figure, path)
    return figure
