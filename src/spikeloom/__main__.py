"""`python -m spikeloom` is the `spikeloom` command."""

from .cli import main

main()
