"""Training, evaluation and what they leave behind. Nothing here knows physics."""
