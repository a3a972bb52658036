"""Thin adapters over the batched core, each in the convention of the library that it serves."""
