from .errors import SpikeloomError
