"""Seeds: training, model selection, final evaluation and tuning share no environment's randomness.

An environment's randomness is a function of its seed. Training seed s gives environment i the seed
`((s + 1) << 32) + i`: trainings with different seeds are disjoint, and all of them lie above 2**32. The ranges
below lie under 2**32 and apart from each other.
"""

from __future__ import annotations

#: Training seeds are below this, so that the seeds of their environments fit into 63 bits.
MAX_SEED = 2**31 - 1

#: First seeds of the final evaluation, of the evaluations that select a policy during training (the best one, or
#: one that meets a threshold), and of those that rank the trials of a hyperparameter search.
EVALUATION_SEED = 1_000_000
SELECTION_SEED = 1 << 28
TUNING_SEED = 1 << 29


def training_seed(seed: int, first_env: int = 0) -> int:
    """The seed of a training's environment.

    Args:
        seed: Of the training, from 0 to `MAX_SEED - 1`.
        first_env: Number of the environment over all ranks.

    Returns:
        Its seed; the following environments have the following seeds.
    """
    return ((seed + 1) << 32) + first_env
