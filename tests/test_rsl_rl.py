"""RSL-RL, unmodified, on the batched scene, and as a library that learns."""

from __future__ import annotations

import csv
import sys

import pytest
import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

import genesis_gym
from conftest import ENV_ID
from genesis_gym.adapters.rsl_rl import make_rsl_rl_vec_env
from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError, ClosedError, RunFolderError
from genesis_gym.learning.agents.checkpoint import load_model, read_checkpoint
from genesis_gym.learning.agents.learner import Hook
from genesis_gym.learning.agents.load import load_policy
from genesis_gym.learning.agents.make import make_learner
from genesis_gym.learning.agents.rsl_rl import observation_groups
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.learning.training.train import train
from genesis_gym.tasks.reach.reach import Reach

NETWORK = {"class_name": "MLPModel", "hidden_dims": [32, 32], "obs_normalization": True}


def runner_config() -> dict:
    """A runner fills in the one that it is given."""
    return {
        "num_steps_per_env": 16,
        "save_interval": 100,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 2},
        "actor": {**NETWORK, "distribution_cfg": {"class_name": "GaussianDistribution"}},
        "critic": dict(NETWORK),
    }


@pytest.fixture
def vec_env(core) -> genesis_gym.GenesisRslRlVecEnv:
    return genesis_gym.GenesisRslRlVecEnv(core, seed=0)


def still(vec_env) -> torch.Tensor:
    return torch.zeros(vec_env.num_envs, vec_env.num_actions)


def test_what_rsl_rl_asks_of_an_environment(vec_env) -> None:
    assert isinstance(vec_env, VecEnv)
    assert (vec_env.num_envs, vec_env.num_actions, vec_env.max_episode_length) == (8, 7, 100)
    observation = vec_env.get_observations()
    assert isinstance(observation, TensorDict) and observation.batch_size == (8,)
    observation, reward, done, extras = vec_env.step(still(vec_env))
    assert observation["policy"].shape == (8, 20)
    assert (reward.dtype, reward.shape) == (torch.float32, (8,))
    assert (done.dtype, done.shape) == (torch.int64, (8,))
    assert (extras["time_outs"].dtype, extras["time_outs"].shape) == (torch.bool, (8,))
    assert {"reward/distance", "distance_to_target", "/success"} <= extras["log"].keys()
    assert all(value.shape == (8,) for value in extras["log"].values())
    assert torch.equal(vec_env.get_observations()["policy"], observation["policy"])


def test_a_time_out(vec_env) -> None:
    """The observation is the new episode's, the last one is in the extras, and nothing else ends."""
    vec_env.episode_length_buf = torch.tensor([99, 50, 99, 0, 0, 0, 0, 0])
    before = vec_env.get_observations()["policy"]
    observation, _, done, extras = vec_env.step(still(vec_env))
    assert done.tolist() == [1, 0, 1, 0, 0, 0, 0, 0]
    assert extras["time_outs"].tolist() == done.bool().tolist()
    assert vec_env.episode_length_buf.tolist() == [0, 51, 0, 1, 1, 1, 1, 1]
    target = vec_env.core.observation_layout["policy"]["target"]
    moved = (observation["policy"][:, target] != before[:, target]).any(-1)
    assert moved.tolist() == done.bool().tolist(), "who ended has a new target, the others the old one"
    assert torch.equal(extras["final_observation"]["policy"][:, target], before[:, target])
    assert torch.equal(extras["final_observation"]["policy"][1], observation["policy"][1])


def test_a_success_is_no_time_out(vec_env) -> None:
    """Also where both happen at once; the log has the outcome of the last finished episode."""
    vec_env.core.task.tolerance, tolerance = 10.0, vec_env.core.task.tolerance
    try:
        vec_env.episode_length_buf = torch.full((8,), 99)
        _, _, done, extras = vec_env.step(still(vec_env))
    finally:
        vec_env.core.task.tolerance = tolerance
    assert done.all() and not extras["time_outs"].any() and extras["log"]["/success"].all()
    _, _, done, extras = vec_env.step(still(vec_env))
    assert not done.any() and extras["log"]["/success"].all()


def test_a_fault_is_a_time_out(vec_env) -> None:
    actions = still(vec_env)
    actions[3] = torch.nan
    observation, reward, done, extras = vec_env.step(actions)
    assert done.nonzero().tolist() == [[3]] and extras["time_outs"].nonzero().tolist() == [[3]]
    assert torch.isfinite(observation["policy"]).all() and reward[3] == 0
    assert extras["log"]["fault"][3] and vec_env.core.fault_counts[3] >= 1


def test_what_a_step_gave_does_not_change(vec_env) -> None:
    observation, reward, done, extras = vec_env.step(still(vec_env))
    given = [observation["policy"], reward, done, *extras["log"].values(), vec_env.episode_length_buf]
    kept = [tensor.clone() for tensor in given]
    vec_env.step(torch.ones(8, 7))
    assert all(torch.equal(now, then) for now, then in zip(given, kept, strict=True))


@pytest.mark.parametrize("steps", [torch.zeros(7, dtype=torch.int64), torch.zeros(8)])
def test_wrong_clocks_are_named(vec_env, steps: torch.Tensor) -> None:
    with pytest.raises(ArgumentError, match="episode_steps has dtype"):
        vec_env.episode_length_buf = steps


def test_a_seed_gives_the_same_episodes_as_in_the_core(vec_env, core) -> None:
    first = vec_env.reset(seed=3)["policy"]
    assert torch.equal(core.reset(seed=3)[0]["policy"], first)
    assert not torch.equal(vec_env.reset()["policy"], first)


def test_the_runner_learns(vec_env, tmp_path) -> None:
    """As it comes: it spreads the first episodes, learns, logs, saves, and its policy acts."""
    runner = OnPolicyRunner(vec_env, runner_config(), log_dir=str(tmp_path), device="cpu")
    before = [parameter.clone() for parameter in runner.alg.actor.parameters()]
    torch.manual_seed(0)
    runner.learn(4, init_at_random_ep_len=True)
    assert vec_env.episode_length_buf.unique().numel() > 2, "the first episodes end at different times"
    for old, new in zip(before, runner.alg.actor.parameters(), strict=True):
        assert torch.isfinite(new).all() and not torch.equal(old, new)
    assert runner.alg.actor.obs_normalizer.count == 4 * 16 * 8
    assert (tmp_path / "model_3.pt").exists()
    policy = runner.get_inference_policy()
    with torch.no_grad():
        vec_env.step(policy(vec_env.get_observations()))


def test_the_scene_outlives_the_runners_inference_mode(vec_env) -> None:
    """What the scene keeps of a step taken in inference mode can be used, and trained on, outside."""
    with torch.inference_mode():
        observation, reward, _, _ = vec_env.step(still(vec_env))
    assert not any(tensor.is_inference() for tensor in (observation["policy"], reward))
    assert not any(tensor.is_inference() for tensor in tensors_of(vec_env.core.state_dict()))


def tensors_of(state) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    return [tensor for entry in state.values() for tensor in tensors_of(entry)]


def test_an_episode_must_end(core, monkeypatch) -> None:
    monkeypatch.setattr(core, "max_episode_steps", None)
    with pytest.raises(ArgumentError, match="max_episode_steps=None is not allowed with RSL-RL"):
        genesis_gym.GenesisRslRlVecEnv(core)


def test_make_and_close() -> None:
    vec_env = make_rsl_rl_vec_env(ENV_ID, 2, seed=0)
    vec_env.step(torch.zeros(2, 7))
    vec_env.close()
    vec_env.close()
    with pytest.raises(ClosedError):
        vec_env.step(torch.zeros(2, 7))


# As a learner


def short_config(timesteps: int = 256, **hyperparameters):
    short = {"num_steps_per_env": 16, "num_mini_batches": 2, "num_learning_epochs": 2, **hyperparameters}
    return make_config(algorithm="RSL_PPO", num_envs=8, timesteps=timesteps, hyperparameters=short)


def test_steps_episodes_and_figures_are_those_of_the_rollouts(tmp_path, core) -> None:
    train(short_config(1_024), core, tmp_path)
    *_, last = csv.DictReader((tmp_path / "progress.csv").open())
    figures = {"train/value", "train/surrogate", "train/learning_rate", "train/std", "rollout/success_rate"}
    assert figures <= last.keys()
    with (tmp_path / "0.monitor.csv").open() as file:
        next(file)
        episodes = list(csv.DictReader(file))
    assert float(last["rollout/ep_rew_mean"]) == pytest.approx(
        sum(float(episode["r"]) for episode in episodes) / len(episodes), rel=1e-4
    )
    assert 1_024 - 8 * 100 < sum(int(episode["l"]) for episode in episodes) <= 1_024
    assert not (tmp_path / "model.zip").exists(), "SB3's archive would hold what SB3 cannot read"


def test_a_time_out_is_bootstrapped_with_the_value_of_the_true_last_state(core) -> None:
    """Not with that of the state before, which RSL-RL's own PPO takes, nor with that of the new episode."""
    learner = make_learner(short_config(), core)
    vec_env, ppo = learner._vec_env, learner.algorithm
    vec_env.reset(seed=0)
    vec_env.episode_length_buf = torch.tensor([99, 0, 99, 0, 0, 0, 0, 0])
    observation = vec_env.get_observations()
    with torch.inference_mode():
        actions = ppo.act(observation)
        before = ppo.transition.values[:, 0].clone()
        after, reward, done, extras = vec_env.step(actions)
        ppo.process_env_step(after, reward, done, extras)
        last = ppo.critic(extras["final_observation"])[:, 0]
        new = ppo.critic(after)[:, 0]
    added = ppo.storage.rewards[0, :, 0] - reward
    ended = done.bool()
    assert ended.tolist() == [True, False, True, *[False] * 5]
    torch.testing.assert_close(added[ended], ppo.gamma * last[ended])
    assert (added[~ended] == 0).all()
    for other in (before, new):
        assert ((last - other)[ended].abs() > 1e-4).all(), "the three differ, so that the test can tell"


class TwoGroups(Reach):
    """Reach whose critic sees the target, and whose actor does not."""

    def observe(self):
        parts = self.parts()
        return {"policy": {n: p for n, p in parts.items() if n.startswith("joint")}, "critic": parts}


def test_actor_and_critic_may_see_different_groups(tmp_path) -> None:
    env = genesis_gym.BatchedEnv(TwoGroups(), num_envs=8, max_episode_steps=100)
    try:
        config = short_config()
        assert observation_groups(env) == {"actor": ["policy"], "critic": ["critic"]}
        policy = train(config, env, tmp_path)
        assert (policy.actor.obs_dim, policy.critic.obs_dim) == (14, 20)
        observation = env.reset(seed=5)[0]
        assert torch.equal(load_policy(tmp_path, config, env)(observation), policy(observation))
    finally:
        env.close()


@pytest.mark.parametrize("distribution", ["gaussian", "beta"])
def test_its_policy_is_rsl_rls(tmp_path, core, distribution: str) -> None:
    """Written, read, and acting as RSL-RL's own policy for inference does."""
    config = short_config(distribution=distribution)
    act = train(config, core, tmp_path)
    observation = core.reset(seed=5)[0]
    read = load_policy(tmp_path, config, core)
    assert torch.equal(read(observation), act(observation))
    learner = make_learner(config, core)
    load_model(tmp_path, learner)
    learner.algorithm.eval_mode()
    with torch.no_grad():
        assert torch.equal(learner.algorithm.get_policy()(observation), act(observation))


def test_a_beta_policy_knows_where_the_actions_end(core) -> None:
    """A Gaussian's mean may lie where no noise about it changes what the environment does."""
    observation = {"policy": 20.0 * torch.randn(1_000, 20)}
    beyond = {}
    for distribution in ("gaussian", "beta"):
        action = make_learner(short_config(distribution=distribution), core).act(observation)
        beyond[distribution] = (action.abs() > 1.0).float().mean().item()
    assert beyond["gaussian"] > 0.1 and beyond["beta"] == 0.0


def test_a_beta_policy_finds_back_from_where_softplus_is_flat(core) -> None:
    """Squareplus, and the exported policy is the same."""
    distribution = make_learner(short_config(distribution="beta"), core).algorithm.actor.distribution
    raw = torch.tensor([-50.0, -10.0, 0.0, 10.0, 50.0]).repeat(2, 1).requires_grad_()
    distribution.update(raw)
    alpha = distribution.params[0]
    torch.testing.assert_close(alpha, 1.0 + (raw[0] + (raw[0].square() + 4.0).sqrt()) / 2.0, rtol=1e-5, atol=1e-5)
    alpha.sum().backward()
    assert 3e-4 < raw.grad[0, 0] < 5e-4 and torch.nn.functional.softplus(raw[0, 0]) < 1e-20
    exported = distribution.as_deterministic_output_module()
    assert torch.equal(exported(raw), distribution.deterministic_output(raw))
    assert torch.equal(exported(raw), distribution.mean)


def test_the_adapted_learning_rate_carries_over(tmp_path, core) -> None:
    config = short_config(schedule="adaptive", desired_kl=9.0)
    train(config, core, tmp_path)
    ppo = (learner := make_learner(config, core)).algorithm
    before = ppo.learning_rate
    load_model(tmp_path, learner)
    checkpoint = read_checkpoint(tmp_path)
    assert ppo.learning_rate == checkpoint["model"]["learning_rate"] != before
    assert {group["lr"] for group in ppo.optimizer.param_groups} == {ppo.learning_rate}
    checkpoint["model"]["learning_rate"] = -1.0
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(RunFolderError, match="the learning rate is -1"):
        load_model(tmp_path, learner)


def test_a_fixed_learning_rate_is_the_new_runs_own(tmp_path, core) -> None:
    train(short_config(schedule="fixed", learning_rate=1e-3), core, tmp_path)
    learner = make_learner(short_config(schedule="fixed", learning_rate=2e-4), core)
    load_model(tmp_path, learner)
    assert {group["lr"] for group in learner.algorithm.optimizer.param_groups} == {2e-4}


def test_the_second_half_has_its_own_weight_of_the_entropy(tmp_path, core) -> None:
    used: list[float] = []

    class Weights(Hook):
        def after_rollout(self, learner) -> None:
            used.append(learner.algorithm.entropy_coef)

    for name, steps, last in (("falls", 512, 0.001), ("stays", 256, None)):
        (tmp_path / name).mkdir()
        config = short_config(steps, entropy_coef=0.01, final_entropy_coef=last)
        train(config, core, tmp_path / name, [Weights()])
    assert used == [0.01, 0.01, 0.001, 0.001, 0.01, 0.01]


def test_a_run_of_another_library_does_not_fit(tmp_path, core) -> None:
    train(short_config(), core, tmp_path)
    with pytest.raises(RunFolderError, match="was trained by 'RSL_PPO', not by 'PPO'"):
        load_model(tmp_path, make_learner(make_config(num_envs=8), core))


def test_without_rsl_rl_one_line_says_what_to_install(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "genesis_gym.learning.agents.rsl_rl", None)
    assert main(["train", "--library", "rsl_rl", "--quiet", "--out", "run"]) == 2
    assert "pip install 'genesis-gym[rsl_rl]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
