"""Passes: from a network to another one, with a promise that `verify` checks."""

from .conversion import (
    Neurons,
    QuantisedReLU,
    accuracy_over_time,
    convert,
    convert_quantised,
    fold_batch_norm,
    settled,
)
from .delays import round_delays
from .device import DEVICES, Device, DeviceReport, check_device
from .promise import Promise, Verified, verify
from .weights import prune, quantise

__all__ = [
    "DEVICES",
    "Device",
    "DeviceReport",
    "Neurons",
    "Promise",
    "QuantisedReLU",
    "Verified",
    "accuracy_over_time",
    "check_device",
    "convert",
    "convert_quantised",
    "fold_batch_norm",
    "prune",
    "quantise",
    "round_delays",
    "settled",
    "verify",
]
