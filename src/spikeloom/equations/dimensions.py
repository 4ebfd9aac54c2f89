"""Units: dimensions, and how much of the system's own unit each unit is.

The system is ms, mV, nA, um and what follows from them: Mohm (mV/nA), uS (nA/mV), nF (nA ms/mV). It is consistent, so
that equations between numbers in it hold as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

_BASE = ("ms", "mV", "nA", "um")


@dataclass(frozen=True, slots=True)
class Dimension:
    """The powers of time, voltage, current and length."""

    powers: tuple[Fraction, ...] = (Fraction(0),) * len(_BASE)

    def __mul__(self, other: Dimension) -> Dimension:
        return Dimension(tuple(a + b for a, b in zip(self.powers, other.powers, strict=True)))

    def __truediv__(self, other: Dimension) -> Dimension:
        return self * other**-1

    def __pow__(self, power: Fraction | int) -> Dimension:
        return Dimension(tuple(p * power for p in self.powers))

    @property
    def is_electrical(self) -> bool:
        """Whether a voltage or a current is in it."""
        return any(self.powers[1:3])

    def __str__(self) -> str:
        for unit, suffix in ((self, ""), (self * TIME, "/ms"), (self / TIME, "*ms")):
            if unit in _NAMES:
                return f"{_NAMES[unit]}{suffix}"
        above = "*".join(_power(n, p) for n, p in zip(_BASE, self.powers, strict=True) if p > 0) or "1"
        below = "".join(f"/{_power(n, -p)}" for n, p in zip(_BASE, self.powers, strict=True) if p < 0)
        return above + below


def _power(name: str, power: Fraction) -> str:
    if power == 1:
        return name
    return f"{name}**{power}" if power.denominator == 1 else f"{name}**({power})"


def _base(number: int) -> Dimension:
    return Dimension(tuple(Fraction(int(k == number)) for k in range(len(_BASE))))


NONE = Dimension()
TIME, VOLTAGE, CURRENT, LENGTH = map(_base, range(len(_BASE)))
RESISTANCE, CONDUCTANCE, CAPACITANCE = VOLTAGE / CURRENT, CURRENT / VOLTAGE, CURRENT * TIME / VOLTAGE
_NAMES: Mapping[Dimension, str] = {
    NONE: "1", TIME: "ms", VOLTAGE: "mV", CURRENT: "nA", LENGTH: "um",
    RESISTANCE: "Mohm", CONDUCTANCE: "uS", CAPACITANCE: "nF",
}  # fmt: skip


class Unit(NamedTuple):
    """A unit: its size in the system's own unit, and its dimension."""

    scale: float
    dimension: Dimension


_PREFIXES = {"p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_KINDS: tuple[tuple[tuple[str, ...], str, int, Dimension], ...] = (
    (("second",), "s", 3, TIME),
    (("volt",), "V", 3, VOLTAGE),
    (("amp", "ampere"), "A", 9, CURRENT),
    (("metre", "meter"), "m", 6, LENGTH),
    (("ohm", "Ohm"), "", -6, RESISTANCE),
    (("siemens",), "S", 6, CONDUCTANCE),
    (("farad",), "F", 9, CAPACITANCE),
    (("hertz",), "Hz", -3, NONE / TIME),
)
"""Long names, short name, the power of ten that takes the SI unit to the system's own, dimension."""


def _units() -> Iterator[tuple[str, Unit]]:
    for long, short, power, dimension in _KINDS:
        for prefix, more in _PREFIXES.items():
            unit = Unit(float(f"1e{power + more}"), dimension)
            yield from ((prefix + name, unit) for name in long)
            if short and (prefix or len(short) > 1):
                yield prefix + short, unit
    yield "cm", Unit(1e4, LENGTH)


UNITS: Mapping[str, Unit] = dict(_units())
"""Units by name: `volt`, `mV`, `Mohm`, ...; a single letter is never one, so that v, V, m and s are free for models."""
