"""SB3's own archives: unpickled, which runs any code that they hold, and only with `--trust`."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from genesis_gym.adapters.sb3 import GenesisSb3VecEnv
from genesis_gym.core import BatchedEnv
from genesis_gym.errors import RunFolderError
from genesis_gym.learning.agents.sb3_policy import Normalizer, Sb3Policy, find_algorithm
from genesis_gym.learning.config.train_config import TrainConfig
from genesis_gym.learning.runs.folder import SB3_NORMALIZE_FILE

#: Errors that SB3 raises of a damaged archive, or of one for another environment.
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


def load_archive(path: Path, config: TrainConfig, env: BatchedEnv) -> Sb3Policy:
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
    vec_env: VecEnv = GenesisSb3VecEnv(env)
    groups: dict[str, tuple[int, ...]] = {}
    try:
        if statistics.exists():
            vec_env = VecNormalize.load(str(statistics), vec_env)
            groups = {name: value.shape[1:] for name, value in env.observation.items() if value.ndim == 2}
        model = find_algorithm(config.algorithm).load(path, env=vec_env, device=env.device)
        normalizer = Normalizer(groups if isinstance(vec_env, VecNormalize) and vec_env.norm_obs else {}, 1.0)
        if isinstance(vec_env, VecNormalize):
            normalizer.clip.fill_(vec_env.clip_obs)
            normalizer.load_statistics(vec_env)
    except _FAULTS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunFolderError(f"{path} cannot be loaded: {reason}") from error
    return Sb3Policy(model.policy, normalizer.to(env.device))
