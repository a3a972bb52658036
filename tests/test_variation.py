"""Domain randomisation and curriculum, on the real simulator."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from genesis_gym.variation.levels import RowDifficulty
from hypothesis import given
from hypothesis import strategies as st

import genesis_gym
from conftest import random_actions
from genesis_gym.errors import ArgumentError
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.variation.curriculum import Curriculum
from genesis_gym.variation.randomization import Randomization

#: A range for each term, wide enough to be seen.
RANGES = {
    "gravity": (4.0, 15.0),
    "gravity_tilt": (0.1, 0.5),
    "wind": (5.0, 20.0),
    "kp_scale": (0.3, 0.8),
    "kv_scale": (0.3, 0.8),
    "damping_scale": (5.0, 50.0),
    "friction_scale": (0.05, 1.0),
    "mass_scale": (0.5, 3.0),
    "payload": (0.5, 3.0),
    "observation_noise": (0.01, 0.1),
    "action_latency": (0, 9),
}
#: The name under which `info` shows what a term drew.
SHOWN = {"gravity_tilt": "gravity"}
STEPS = 40


def joints_over(env, actions: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """Joint positions after each step, `(steps, envs, joints)`."""
    env.reset(seed=seeds)
    history = []
    for action in actions:
        env.step(action)
        history.append(env.task.arm.joint_position.clone())
    return torch.stack(history)


def sweeps(envs: int) -> torch.Tensor:
    """Swings of all joints that are the same in every env, `(steps, envs, 7)`."""
    phases = torch.linspace(0, 6.28, STEPS)[:, None] + torch.arange(7)
    return torch.sin(phases)[:, None].expand(-1, envs, -1).contiguous()


def down_to_the_ground(envs: int) -> torch.Tensor:
    """Bend the arm down until the fingers press on the ground, then swing the base."""
    actions = torch.zeros(100, envs, 7)
    actions[:60, :, 1] = 1.0
    actions[60:, :, 0] = 1.0
    actions[60:, :, 1] = 0.3
    return actions


@pytest.mark.parametrize("term", [name for name in RANGES if name != "observation_noise"])
def test_a_term_changes_the_physics_of_its_row_and_of_no_other(make_core, term: str) -> None:
    """Row 2 alone gets another seed; actions are the same, and the arm does not depend on the target."""
    env = make_core(4, randomization=Randomization(**{term: RANGES[term]}))
    actions = down_to_the_ground(4) if term == "friction_scale" else sweeps(4)
    one = joints_over(env, actions, [1, 2, 3, 4])
    other = joints_over(env, actions, [1, 2, 30, 4])
    again = joints_over(env, actions, [1, 2, 3, 4])
    assert torch.equal(one, again), "the same seeds give the same physics"
    changed = (one != other).any(dim=-1).any(dim=0)
    assert changed.tolist() == [False, False, True, False]
    assert (one - other)[:, 2].abs().max() > 1e-4, "and it changes by more than rounding"


@pytest.mark.parametrize("term", RANGES)
def test_the_values_are_in_info_and_in_range(make_core, term: str) -> None:
    low, high = RANGES[term]
    env = make_core(4, randomization=Randomization(**{term: (low, high)}))
    _, metrics = env.reset(seed=0)
    name = f"randomization/{SHOWN.get(term, term)}"
    values = metrics[name]
    if term in ("gravity", "wind"):
        values = values.norm(dim=-1)
    elif term == "gravity_tilt":
        values = torch.acos(-values[:, 2] / values.norm(dim=-1))
    assert (values >= low - 1e-5).all() and (values <= high + 1e-5).all()
    assert values.unique().numel() > 1, "envs differ"
    result = env.step(torch.zeros(4, 7))
    assert torch.equal(result.metrics[name], metrics[name]), "within an episode they stay"
    part = torch.tensor([False, True, False, False])
    _, after = env.reset(part)
    same = (after[name] == metrics[name]).reshape(4, -1).all(dim=-1)
    if term != "action_latency":  # ten values may repeat
        assert same.tolist() == [True, False, True, True]
    assert same[[0, 2, 3]].all()


@pytest.mark.parametrize("term", RANGES)
def test_at_zero_range_the_bits_are_those_without(make_core, term: str) -> None:
    neutral = Randomization.model_fields[term].default
    plain = make_core(4)
    randomised = make_core(4, randomization=Randomization(**{term: neutral}))
    for env in (plain, randomised):
        env.reset(seed=5)
    for action in torch.from_numpy(random_actions(STEPS, 4, 7)):
        a, b = plain.step(action), randomised.step(action)
        assert torch.equal(a.observation, b.observation) and torch.equal(a.reward, b.reward)


@pytest.mark.parametrize("names", [("kp_scale", "kv_scale", "damping_scale"), ("mass_scale",)])
def test_applying_nominal_physics_changes_nothing(make_core, names: tuple[str, ...]) -> None:
    """The machinery itself: ranges so narrow that every float32 factor is 1, against the same scene untouched.

    Gains and damping change no bit. After masses, Genesis computes the poses anew, by other code than that of a
    step: on some processors the last bits differ then, here 5e-10 rad in the first step.
    """
    env = make_core(4, randomization=Randomization(**dict.fromkeys(names, (1.0, 1.0 + 1e-12))))
    set_values = joints_over(env, sweeps(4), [1, 2, 3, 4])
    physics, env._physics = env._physics, None
    untouched = joints_over(env, sweeps(4), [1, 2, 3, 4])
    env._physics = physics
    if names == ("mass_scale",):
        torch.testing.assert_close(set_values, untouched, atol=1e-6, rtol=0)
    else:
        assert torch.equal(set_values, untouched)


@pytest.mark.parametrize("term", RANGES)
def test_a_reset_changes_no_bit_of_the_other_rows(make_core, term: str) -> None:
    env = make_core(4, randomization=Randomization(**{term: RANGES[term]}))
    some = torch.tensor([False, True, False, True])
    histories = []
    for resets in (False, True):
        env.reset(seed=[1, 2, 3, 4])
        history = []
        for step, action in enumerate(sweeps(4)):
            history.append(env.step(action).observation[~some])
            if resets and step % 7 == 3:
                env.reset(some)
        histories.append(torch.stack(history))
    assert torch.equal(*histories)


def test_a_row_does_not_depend_on_the_number_of_rows(make_core) -> None:
    everything = Randomization(**RANGES)
    few, many = make_core(4, randomization=everything), make_core(9, randomization=everything)
    observation, metrics = few.reset(seed=7)
    more_observation, more_metrics = many.reset(seed=7)
    assert torch.equal(observation, more_observation[:4])
    for name in metrics:
        assert torch.equal(metrics[name], more_metrics[name][:4]), name
    for action in torch.from_numpy(random_actions(STEPS, 9, 7)):
        result, more = few.step(action[:4]), many.step(action)
        assert torch.equal(result.observation, more.observation[:4])


def test_a_partial_reset_leaves_the_neighbours_alone(make_core) -> None:
    """All terms at once: masses, gains and gravity are set for every env at each reset."""
    env = make_core(4, randomization=Randomization(**RANGES))
    actions = torch.from_numpy(random_actions(20, 4, 7))
    histories = []
    for interrupted in (False, True):
        env.reset(seed=3)
        history = []
        for i, action in enumerate(actions):
            if interrupted and i == 8:
                env.reset(torch.tensor([False, True, False, False]))
            history.append(env.step(action).observation)
        histories.append(torch.stack(history))
    neighbours = [0, 2, 3]
    assert torch.equal(histories[0][:, neighbours], histories[1][:, neighbours])
    assert not torch.equal(histories[0][:, 1], histories[1][:, 1])


def test_noise_is_new_at_each_step_and_only_seen_by_the_policy(make_core) -> None:
    env = make_core(4, randomization=Randomization(observation_noise=(0.05, 0.05 + 1e-9)))
    observation, metrics = env.reset(seed=0)
    truth = env.task.arm.joint_position
    errors = [(observation[:, :7] - truth)]
    for _ in range(60):
        result = env.step(torch.zeros(4, 7))
        errors.append(result.observation[:, :7] - env.task.arm.joint_position)
    noise = torch.stack(errors)
    assert noise.std() == pytest.approx(0.05, rel=0.1) and noise.mean().abs() < 0.005
    assert not torch.equal(noise[1], noise[2])
    assert torch.allclose(
        metrics["distance_to_target"], torch.linalg.vector_norm(env.task.target - _tool(env), dim=-1)
    )


def _tool(env) -> torch.Tensor:
    env.reset(seed=0)
    return env.task.arm.tool.position


def test_latency_delays_by_whole_steps(make_core) -> None:
    env = make_core(4, randomization=Randomization(action_latency=(0, 9)))
    _, metrics = env.reset(seed=0)
    latency = metrics["randomization/action_latency"].long().tolist()
    started = [None] * 4
    before = env.task.actions.terms["arm"].target.clone()
    for step in range(12):
        env.step(torch.ones(4, 7))
        moved = (env.task.actions.terms["arm"].target != before).any(dim=-1)
        started = [step if s is None and m else s for s, m in zip(started, moved.tolist(), strict=True)]
    assert started == latency


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"kp_scal": (1, 2)}, "randomization='kp_scal' is not known (did you mean 'kp_scale'?)"),
        ({"kp_scale": (2, 1)}, "the lower bound 2 is above the upper bound 1"),
        ({"kp_scale": (0, 1)}, "kp_scale.0=0 is not allowed: input should be greater than 0"),
        ({"payload": (-1, 1)}, "payload.0=-1"),
        ({"payload": 1.0}, "payload=1.0"),
        ({"wind": ("a", 1)}, "wind.0='a'"),
        ({"wind": (0, float("nan"))}, "wind.1=nan"),
        ({"action_latency": (0, 1.5)}, "action_latency.1=1.5"),
        ("everything", "randomization='everything' is not allowed"),
    ],
)
def test_wrong_randomisation_is_named(wrong, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        genesis_gym.BatchedEnv(num_envs=2, randomization=wrong)
    assert named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_every_environment_can_be_randomised_and_made_easier(env_id: str) -> None:
    envs = gym.make_vec(env_id, num_envs=3, randomization=Randomization(**RANGES), curriculum={"initial": 0.3})
    assert envs.core.task.arm.joint_low.shape == (7,)
    envs.reset(seed=0)
    for action in random_actions(5, 3, envs.core.action_dim):
        observation, _, _, _, infos = envs.step(action)
    assert np.isfinite(observation).all() and not infos["fault"].any()
    np.testing.assert_allclose(infos["difficulty"], 0.3)
    envs.close()


def test_the_single_environment_is_a_row_of_the_batch(make_core) -> None:
    everything = Randomization(**RANGES)
    env = gym.make("Genesis/FrankaReach-v0", randomization=everything)
    batch = make_core(4, randomization=everything)
    observation, info = env.reset(seed=8)
    observations, metrics = batch.reset(seed=7)
    np.testing.assert_array_equal(observation, observations[1])
    np.testing.assert_array_equal(info["randomization/gravity"], metrics["randomization/gravity"][1])
    assert info["randomization/payload"] == metrics["randomization/payload"][1].item()
    env.close()


# Curriculum


def home_distances(env) -> torch.Tensor:
    return torch.linalg.vector_norm(env.task.target - env.task._easiest, dim=-1)


def test_difficulty_widens_the_reset_distribution(make_core) -> None:
    env = make_core(4, curriculum=Curriculum(initial=0.5, step=0.25, threshold=None))
    env.reset(seed=0)
    half = env.task.target.clone()
    env.increase_difficulty()
    assert torch.equal(env.task.target, half), "an episode keeps its own"
    env.increase_difficulty()
    assert env.difficulty.tolist() == [1.0] * 4
    env.increase_difficulty()
    assert env.difficulty.tolist() == [1.0] * 4, "1 is the most"
    env.reset(seed=0)
    plain = make_core(4)
    plain.reset(seed=0)
    assert torch.equal(env.task.target, plain.task.target), "at 1 the bits are the task's own"
    torch.testing.assert_close(half, (env.task.target + env.task._easiest) / 2)


def test_a_row_is_promoted_by_its_own_success(make_core) -> None:
    """Environments 0 and 2 are handed their target; the others never reach it."""
    env = make_core(4, curriculum=Curriculum(initial=0.1, step=0.1, threshold=0.5, window=2))
    env._levels = RowDifficulty(env._curriculum, 4, env.device)
    env.reset(seed=0)
    for _ in range(4):  # two episodes judged, twice
        env.task.target[[0, 2]] = env.task.arm.tool.position[[0, 2]]
        env.task.target[[1, 3]] = 5.0
        result = env.step(torch.zeros(4, 7))
        assert result.terminated.tolist() == [True, False, True, False]
        _, metrics = env.reset()
    torch.testing.assert_close(env.difficulty, torch.tensor([0.3, 0.1, 0.3, 0.1]))
    torch.testing.assert_close(metrics["difficulty"], torch.tensor([0.3, 0.1, 0.3, 0.1]))


def test_lent_rows_are_at_full_difficulty_and_count_for_nothing(make_core) -> None:
    env = make_core(4, curriculum=Curriculum(initial=0.2, step=0.1, threshold=0.5, window=1))
    env._levels = RowDifficulty(env._curriculum, 4, env.device)
    env.reset(seed=0)
    env.step(torch.zeros(4, 7))
    state = env.state_dict()
    with env.evaluation_mode():
        env.reset(seed=1_000)
        assert (home_distances(env) > 0.05).all() and env.task.difficulty.tolist() == [1.0] * 4
        env.task.target = env.task.arm.tool.position
        assert env.step(torch.zeros(4, 7)).terminated.all()
    assert torch.equal(env.difficulty, torch.full((4,), 0.2))
    assert all(torch.equal(value, state[name]) for name, value in env.state_dict().items())


@given(
    initial=st.floats(0, 1), step=st.floats(0.01, 1), window=st.integers(1, 5), outcomes=st.lists(st.booleans())
)
def test_difficulty_only_grows_and_stays_in_range(initial, step, window, outcomes) -> None:
    curriculum = Curriculum(initial=initial, step=step, threshold=0.75, window=window)
    levels = RowDifficulty(curriculum, 3, torch.device("cpu"))
    for outcome in outcomes:
        before = levels.difficulty
        levels.count(torch.tensor([True, False, True]), torch.tensor([outcome, True, not outcome]))
        assert (levels.difficulty >= before).all() and (levels.difficulty <= 1).all()
        assert (levels.episodes < window).all()
    assert levels.difficulty[1] == torch.tensor(initial), "a env whose episodes do not end stays"


def test_the_guides_way_by_hand() -> None:
    env = genesis_gym.ReachingEnv(curriculum=Curriculum(threshold=None))
    assert env.difficulty == pytest.approx(0.1)
    env.increase_difficulty()
    env.reset(seed=0)
    assert env.difficulty == pytest.approx(0.2)
    env.close()
    plain = genesis_gym.ReachingEnv()
    with pytest.raises(ArgumentError, match="needs a curriculum"):
        plain.increase_difficulty()
    plain.close()
