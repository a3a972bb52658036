"""SB3's own archives: unpickled, which runs any code that they hold, and only where somebody says `--trust`."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import RunFolderError
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.agents.policy import Act, ObservationNormalizer, deterministic, find_algorithm
from genesis_gym.learning.runs.folder import SB3_NORMALIZE_FILE

#: What SB3 raises of an archive that is damaged, or of another environment.
_FAULTS = (
    AssertionError,
    AttributeError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def load_archive(path: Path, config: TrainConfig, env: BatchedEnv) -> Act:
    """Unpickle a model, and the normaliser beside it if there is one. This runs any code that they hold.

    Args:
        path: A `.zip` that SB3 wrote.
        config: Of the run folder in which it lies.
        env: The environment it will act in.

    Returns:
        The deterministic policy.

    Raises:
        RunFolderError: It cannot be loaded, or does not fit the environment.
    """
    statistics = path.with_name(SB3_NORMALIZE_FILE)
    rows: VecEnv = GenesisSb3VecEnv(env)
    try:
        if statistics.exists():
            rows = VecNormalize.load(str(statistics), rows)
        model = find_algorithm(config.algorithm).load(path, env=rows, device=env.device)
    except _FAULTS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunFolderError(f"{path} cannot be loaded: {reason}") from error
    return deterministic(model.policy, ObservationNormalizer.of(model))
