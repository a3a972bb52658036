"""The report of a run: page, plots, video."""
