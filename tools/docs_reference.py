"""Puts what is registered by name into the reference, in place of marks such as `<!-- neuron models -->`.

A hook of mkdocs: a new model, link type or encoding needs no line in the documentation.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

HIDDEN_OF_NEURONS = "update|initial|check|after_spike|threshold|coupled|matrices|reads|unread"
HIDDEN_OF_LINKS = (
    "check.*|specs|product|gradients|ignored|.*_in_parts|name|repeats|draw|synapses|joined|size|shape|target_shape"
)
HIDDEN_OF_ENCODINGS = "draw_keys|steps_between|moved|Coding|spike_lists|CODINGS|on_tensors|going_on|silence"


def directive(target: str, hidden: str, *options: str) -> str:
    """What mkdocstrings makes a part of a page from."""
    chosen = ", ".join([*options, "heading_level: 3", f'filters: ["!^_", "!^({hidden})$"]'])
    return f"::: {target}\n    options: {{{chosen}}}\n"


def by_module(registry: Any) -> dict[str, list[str]]:
    """The names of a registry by the module of what they stand for."""
    found: dict[str, list[str]] = {}
    for name in registry:
        found.setdefault(registry[name].__module__, []).append(name)
    return found


def row(name: str, model: Any) -> str:
    """A model's line in the table of all."""
    output = {"Step": "spikes", "Graded": "its potential"}.get(type(model().emission.forward).__name__, "graded")
    path = "torch path" if model.coupled else "kernels"
    return f"| [`{name}`](#{model.__module__.rpartition('.')[2]}) | `{model.__name__}` | {output} | {path} |"


def neuron_models() -> Iterable[str]:
    """The table of all models, then each module with its equations and its models."""
    registry = import_module("spikeloom.neurons").NEURONS
    yield "| name | class | emits | computed by |\n|---|---|---|---|"
    yield from (row(name, registry[name]) for name in registry)
    for module, names in by_module(registry).items():
        classes = ", ".join(f'"{registry[name].__name__}"' for name in names)
        yield f"\n## {', '.join(names)} {{#{module.rpartition('.')[2]}}}\n"
        options = ("show_root_heading: false", "show_root_toc_entry: false", f"members: [{classes}]")
        yield directive(module, HIDDEN_OF_NEURONS, *options)


def link_types() -> Iterable[str]:
    """Each link type."""
    registry = import_module("spikeloom.network").LINKS
    for name in registry:
        kind = registry[name]
        yield directive(f"{kind.__module__}.{kind.__name__}", HIDDEN_OF_LINKS)


def encodings() -> Iterable[str]:
    """Each module with methods of encoding."""
    options = ("show_root_heading: false", "show_root_toc_entry: false")
    for module in by_module(import_module("spikeloom.network").CODINGS):
        yield directive(module, HIDDEN_OF_ENCODINGS, *options)


MARKS = {"<!-- neuron models -->": neuron_models, "<!-- link types -->": link_types, "<!-- encodings -->": encodings}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with the lists in place of their marks."""
    for mark, lines in MARKS.items():
        if mark in markdown:
            markdown = markdown.replace(mark, "\n".join(lines()))
    return markdown
