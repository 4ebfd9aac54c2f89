"""Seed names: the modules of mlGeNN's `utils` package."""
