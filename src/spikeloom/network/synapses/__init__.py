"""What stands in a connection beside its link: dropout, normalisation, reshaping, short-term plasticity; by name."""

from .batch_norm import BatchNorm
from .dropout import Dropout
from .fitting import check_synapses, link_ends, pooled_link, stage_specs
from .pipeline import STAGES, SYNAPSES, Pipeline, pipeline, settings_of_synapses
from .shaping import AvgPool, Flatten, MaxPool, Upsample
from .short_term import ShortTermPlasticity, depression, facilitation
from .stage import Stage, Window

__all__ = [
    "STAGES",
    "SYNAPSES",
    "AvgPool",
    "BatchNorm",
    "Dropout",
    "Flatten",
    "MaxPool",
    "Pipeline",
    "ShortTermPlasticity",
    "Stage",
    "Upsample",
    "Window",
    "check_synapses",
    "depression",
    "facilitation",
    "link_ends",
    "pipeline",
    "pooled_link",
    "settings_of_synapses",
    "stage_specs",
]
