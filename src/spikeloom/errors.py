"""The error tree.

    SpikeloomError                the root; never raised itself
    ├── ParameterError            a value or a name of a parameter is wrong        (ValueError)
    ├── ShapeError                an array has the wrong shape or size             (ValueError)
    ├── DataError                 the content of data or of a file is wrong        (ValueError)
    ├── UnknownNameError          a text choice that no registry holds             (LookupError)
    ├── UnsupportedError          a combination that does not exist                (TypeError)
    ├── StateError                the right call at the wrong time                 (RuntimeError)
    ├── StorageError              a file that cannot be read or written            (OSError)
    ├── DeviceError               a device that this machine does not have         (RuntimeError)
    └── CompilerError             a kernel that cannot be compiled here            (RuntimeError)

A message names object and parameter, what was expected, what came, and the way out.
"""


class SpikeloomError(Exception):
    """The root of all errors of this package."""


class ParameterError(SpikeloomError, ValueError):
    """A value or a name of a parameter is wrong."""


class ShapeError(SpikeloomError, ValueError):
    """An array has the wrong shape or size."""


class DataError(SpikeloomError, ValueError):
    """The content of data or of a file is wrong."""


class UnknownNameError(SpikeloomError, LookupError):
    """A text choice that no registry holds."""


class UnsupportedError(SpikeloomError, TypeError):
    """A combination that does not exist."""


class StateError(SpikeloomError, RuntimeError):
    """The right call at the wrong time."""


class StorageError(SpikeloomError, OSError):
    """A file that cannot be read or written: a full disk, a folder that is not there."""


class DeviceError(SpikeloomError, RuntimeError):
    """A device that this machine does not have."""


class CompilerError(SpikeloomError, RuntimeError):
    """A kernel that cannot be compiled here: no compiler, no room, or the compiler refuses."""
