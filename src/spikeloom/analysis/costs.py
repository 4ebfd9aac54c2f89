"""What a recorded network cost: its description joined with the activity of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DataError
from ..recording import Session
from .measures import (
    Activity,
    BitBudget,
    bit_budget,
    communication_volume,
    connection_costs,
    memory_volume,
)
from .rates import activity_of
from .recorded import RecordedLayer
from .report import Section, Table
from .scan import LayerMeasures

Layer = tuple[str, str]


def network_of(session: Session, node: str) -> Mapping[str, Any]:
    """What the network of a node said of itself when it was recorded; DataError where nothing was noted."""
    said = session.metadata(node).get("network")
    if not isinstance(said, Mapping):
        raise DataError(
            f"node {node!r} has no description of its network, which costs follow from; record a run of a network "
            "with net.run(..., record=recorder)"
        )
    return said


def activities_of(session: Session, node: str) -> dict[str, Activity]:
    """How often the neurons of each recorded layer of a node fired, by layer."""
    return {name: activity_of(RecordedLayer.of(session, node, name)) for name in session.layers(node)}


def bit_budgets(
    network: Mapping[str, Any], layers: Mapping[str, tuple[RecordedLayer, Activity]]
) -> dict[str, BitBudget]:
    """The Bit Budget of each connection with a recorded source, for a sample of its longest run, by its path.

    A spike takes 1 bit, a graded one 8.
    """
    budgets = {}
    for cost in connection_costs(network, {name: activity for name, (_, activity) in layers.items()}):
        layer, active = layers[cost.pre]
        if not cost.weight_bits:
            continue
        share = active.counts.sum() / layer.recorded_fraction / (active.n_steps * layer.n_neurons)
        budgets[cost.path] = bit_budget(
            max(run.stop - run.start for run in layer.runs),
            cost.weight_bits,
            8 if active.graded.any() else 1,
            macs_per_step=network["connections"][cost.path]["macs"],
            firing_share=min(1.0, float(share)),
        )
    return budgets


def costs_sections(session: Session, measures: Mapping[Layer, LayerMeasures]) -> list[Section]:
    """A section on the costs of each node whose network was described; a node that was recorded by hand has none."""
    sections = []
    for node in session.nodes():
        if "network" not in session.metadata(node):
            continue
        layers = {name: (m.layer, m.activity) for (of, name), m in measures.items() if of == node}
        heading = f"{node}: costs" if len(session.nodes()) > 1 else "Costs"
        try:
            sections.append(_costs_section(heading, network_of(session, node), layers))
        except DataError as error:
            sections.append(Section(heading, warnings=[f"The costs are not known: {error}."]))
    return sections


def _costs_section(
    heading: str, network: Mapping[str, Any], layers: Mapping[str, tuple[RecordedLayer, Activity]]
) -> Section:
    activities = {name: activity for name, (_, activity) in layers.items()}
    costs, budgets, memory = connection_costs(network, activities), bit_budgets(network, layers), memory_volume(network)
    sent = communication_volume(network, activities)
    total, dense = sum(c.synaptic_operations for c in costs), sum(c.dense_macs for c in costs)
    cards: dict[str, object] = {
        "synaptic operations": _short(total),
        "of dense operations": f"{total / dense:.2%}" if dense else "none",
        "energy proxy": f"{_short(sum(c.energy_proxy_pj for c in costs) / 1e6)} uJ",
        "memory": f"{_short(sum(memory) / 8e3)} kB",
        "sent as events": f"{_short(sum(c.event_bytes for c in sent) / 1e3)} kB",
        "sent as bits": f"{_short(sum(c.bitmap_bytes for c in sent) / 1e3)} kB",
    }
    columns = (
        "connection",
        "spikes",
        "additions",
        "multiplications",
        "dense operations",
        "Bit Budget",
        "NS-ACE",
    )
    rows = [
        (
            f"{c.path} ({c.pre} \N{RIGHTWARDS ARROW} {c.post})", f"{c.n_spikes:,}", _short(c.acs), _short(c.macs),
            _short(c.dense_macs), f"{budgets[c.path].bits:,}" if c.path in budgets else "",
            _short(budgets[c.path].ns_ace) if c.path in budgets else "",
        )
        for c in costs
    ]  # fmt: skip
    return Section(heading, _TEXT, table=Table(columns, rows) if rows else None, cards=cards)


_TEXT = (
    "In all samples together. A synaptic operation is a spike that reaches a synapse whose weight is not zero: an "
    "addition, or a multiplication where the spike is graded. The energy is a proxy: 0.9 pJ an addition, 4.6 pJ a "
    "multiplication (32 bits, 45 nm; Horowitz 2014), memory and wires left out.\n\nThe Bit Budget in bits: steps x "
    "weight bits x spike bits of a sample of the longest run. NS-ACE is the part of its multiplications that "
    "spikes cause (Shen et al. 2023).\n\nMemory is what weights, states and the spikes of a step take. Sent is "
    "what goes from layer to layer: as events, a number for each spike; as bits, one for each neuron and step."
)
"""What the numbers of costs are."""


def _short(value: float) -> str:
    """A number in few digits: up to a million, then in M, G or T."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if value >= 1000 or value == round(value) else f"{value:.3g}"
