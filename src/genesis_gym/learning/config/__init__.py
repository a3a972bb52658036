"""What a run is trained with: configs, hyperparameters, presets, seeds."""
