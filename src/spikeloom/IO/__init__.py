"""Seed names: the modules of SPAIC's `IO` package."""
