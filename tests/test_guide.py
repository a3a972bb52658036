"""The Python blocks of the training guide run as printed, pasted one after the other into one session.

`tests/data/training_guide.md` holds the blocks word for word. `SHORTER` makes them quick, and fits them to a
machine without a GPU. `MISSING` and `INSTEAD` are all other differences: what the guide uses and never defines,
and what no version of Stable-Baselines3 or Genesis has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch

from genesis_gym.runtime.system import has_display

GUIDE = Path(__file__).parent / "data" / "training_guide.md"

#: Fewer steps, and the CPU where there is no GPU.
SHORTER = {
    r"total_timesteps=\d+": "total_timesteps=64",
    r"n_trials=\d+": "n_trials=2",
    r"n_eval_episodes=\d+": "n_eval_episodes=1",
    r"eval_freq=\d+": "eval_freq=64",
    r"learning_starts=\d+": "learning_starts=16",
    r"n_steps=2048": "n_steps=64",
    r"\[512, 1024, 2048\]": "[16, 32, 64]",
    r'PPO\("MlpPolicy", basic_env\)': 'PPO("MlpPolicy", basic_env, n_steps=64)',
    **({} if torch.cuda.is_available() else {r'device="cuda"': 'device="cpu"'}),
}

#: Heading → what the guide's reader must have typed before the block: names that the guide never defines.
MISSING = {
    "Custom Task Environments": "import numpy as np",
    # As printed, the models are trained on the bare robot and evaluated on the reaching task, whose observation is
    # three numbers longer; a policy takes one of the two only.
    "PPO (Recommended for Beginners)": "env = Monitor(ReachingEnv(use_gpu=True, show_viewer=False))",
    "2. Hyperparameter Tuning": "from stable_baselines3.common.evaluation import evaluate_policy",
    "3. Multi-Stage Training": "class BasicMotorEnv(ReachingEnv): pass\nclass ManipulationEnv(ReachingEnv): pass",
    "1. Model Evaluation": "model.save('./models/ppo_reaching_final')",
}

#: Pattern → replacement, where the printed line cannot run anywhere, or not on this machine.
INSTEAD = {
    r"^nvidia-smi.*\n": "",  # a line of shell
    r"^ *n_envs=1,.*\n": "",  # PPO has no such argument
    r"^ *self\.scene\.set_gravity\((?s:.*?)^ *\)\n": "",  # Genesis's scenes have no such method
    **({} if torch.cuda.is_available() else {r"^print\(f\"GPU memory.*\n": ""}),
    **({} if has_display() else {r"show_viewer=True": "show_viewer=False"}),
}


def blocks() -> Iterator[tuple[str, str]]:
    """Heading and code of each block."""
    heading = ""
    for match in re.finditer(r"^#+ (.*)$|^```python\n((?s:.*?))^```$", GUIDE.read_text(), re.MULTILINE):
        if match[2] is None:
            heading = match[1]
        else:
            yield heading, match[2]


def test_the_blocks_are_those_of_the_guide() -> None:
    """Each pattern above is found, so that none stays behind when the guide changes."""
    code = list(blocks())
    assert len(code) == 17
    assert MISSING.keys() <= {heading for heading, _ in code}
    whole = "\n".join(block for _, block in code)
    for pattern in (*SHORTER, *INSTEAD):
        assert re.search(pattern, whole, re.MULTILINE), pattern


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Iterator[dict[str, Any]]:
    """The names that the guide has defined at its end."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("guide"))
        for heading, code in blocks():
            for pattern, replacement in {**SHORTER, **INSTEAD}.items():
                code = re.sub(pattern, replacement, code, flags=re.MULTILINE)
            try:
                exec(compile(MISSING.get(heading, "pass"), f"before: {heading}", "exec"), names)
                exec(compile(code, f"guide: {heading}", "exec"), names)
            except Exception as error:
                raise AssertionError(f"the block under {heading!r} fails: {error!r}") from error
        yield names
    for value in names.values():
        if isinstance(value, gymnasium.Env):
            value.close()


def test_the_space_follows_what_reset_gives(session) -> None:
    env = session["eval_env"]
    observation, _ = env.reset(seed=0)
    assert observation.shape == env.observation_space.shape == (17,)
    assert observation in env.observation_space
    assert env.step(env.action_space.sample())[0] in env.observation_space
    assert session["GenesisGymWrapper"] not in (type(env), type(env.unwrapped))


def test_the_guides_success_rate_counts_its_episodes(session) -> None:
    rate, length = session["evaluate_success_rate"](session["model"], session["eval_env"], n_episodes=2)
    assert rate in (0.0, 0.5, 1.0) and 1 <= length <= 100


def test_the_guides_shaped_reward_takes_an_observation(session) -> None:
    env = session["eval_env"].unwrapped
    observation, _ = env.reset(seed=0)
    place = env._compute_forward_kinematics(observation[: env.n_ctrl_dofs])
    action = env.action_space.sample()
    assert session["compute_shaped_reward"](env, observation[:14], action, place, env.target_pos) < 0


@pytest.mark.parametrize("name", ["CurriculumReachingEnv", "RandomizedEnv"])
def test_classes_that_the_guide_defines_and_never_makes(session, name: str) -> None:
    env = session[name]()
    try:
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        if name == "CurriculumReachingEnv":
            env.increase_difficulty()
            assert env.difficulty == pytest.approx(0.2)
        for _ in range(3):
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert observation in env.observation_space and reward < 0 and not truncated
        assert info["is_success"] == terminated
    finally:
        env.close()
