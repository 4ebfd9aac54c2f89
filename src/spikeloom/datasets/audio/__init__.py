"""Sound: files, mel features, a cochlea, spoken digits."""

from .cochlea import Cochlea
from .files import read_sound, write_sound
from .hair_cells import BushyCell, HairCell
from .mel import MFCC, LogMel, hz_to_mel, mel_filters, mel_to_hz
from .sound import Sound, excerpt, resample, trim_silence
from .spoken_digits import Recordings, spoken_digits

__all__ = [
    "MFCC",
    "BushyCell",
    "Cochlea",
    "HairCell",
    "LogMel",
    "Recordings",
    "Sound",
    "excerpt",
    "hz_to_mel",
    "mel_filters",
    "mel_to_hz",
    "read_sound",
    "resample",
    "spoken_digits",
    "trim_silence",
    "write_sound",
]
