"""From a config to a report, in one stage or several."""
