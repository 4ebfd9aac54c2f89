"""The summary of a session as text."""

from __future__ import annotations

from collections.abc import Iterator

from .behavior import node_behavior
from .overview import endings, gaps, samples
from .scan import LayerMeasures
from .sessions import Analysis


def summary_text(analysis: Analysis) -> str:
    """What was recorded, how it ended, each layer's rate and regularity, and what the nodes did, line by line."""
    session = analysis.session
    nodes = session.nodes()
    lines = [session.title, *endings(session)]
    for node in nodes:
        lines += ["", *([f"node {node}"] if len(nodes) > 1 else [])]
        lines += [line for key, found in analysis.measures.items() if key[0] == node for line in _layer(found)]
        others = {kind: session.layers(node, kind) for kind in ("membrane", "weights", "variables")}
        lines += [f"  {kind}: {', '.join(layers)}" for kind, layers in others.items() if layers]
    lines += [*gaps(session), *analysis.unreadable, *_nodes(analysis)]
    return "\n".join(lines) + "\n"


def _layer(measures: LayerMeasures) -> Iterator[str]:
    rate = measures.rate
    thinned = "" if rate.mode == "all" else f", {rate.recorded_fraction:.3g} recorded ({rate.mode})"
    yield (
        f"  {measures.layer.name}: {rate.n_neurons:,} neurons, {rate.total_spikes:,} spikes, "
        f"{rate.mean_rate_hz:.1f} Hz in {samples(rate.n_samples)}, {rate.trial_s:.3f} s in all{thinned}"
    )
    numbers = ", ".join(f"{name} {value}" for name, value in measures.key_numbers.items())
    if numbers:
        yield f"    {numbers}"
    if measures.refused:
        yield f"    not measured, as sub-sampling spoils them: {', '.join(measures.refused)}"


def _nodes(analysis: Analysis) -> Iterator[str]:
    states = analysis.session.control_states()
    if states:
        yield ""
        yield f"control states: {len(states)}"
    for node in sorted({str(state["node_id"]) for state in states}):
        behavior = node_behavior(states, node)
        yield (
            f"  {node}: {behavior.records} records, task active {behavior.task_active_ratio:.1%}, "
            f"{', '.join(behavior.unique_statuses)}"
        )
