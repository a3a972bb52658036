"""The curriculum counts what was seen, promotes what succeeded, and is not touched by an evaluation."""

from __future__ import annotations

import gymnasium
import pytest
import torch
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st

from conftest import ENV_ID, random_actions
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.errors import ArgumentError
from genesis_gym.variation import Curriculum, CurriculumState

ENVS = 64
#: So long a window that counts add up for ever.
COUNTING = Curriculum(initial=0.1, threshold=0.75, window=1_000_000)


@pytest.fixture
def easy(make_core):
    """Targets a few centimetres away, 2 cm wide: some episodes succeed, and some pass their target in the last step."""
    env = make_core(ENVS, tolerance=0.02, max_episode_steps=12, curriculum=COUNTING)
    env._curriculum = CurriculumState(COUNTING, ENVS, env.device)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_exactly_the_ends_that_were_seen_are_counted(easy, mode: AutoresetMode) -> None:
    autoreset = Autoreset(easy, mode)
    autoreset.reset(seed=0)
    faults = easy.fault_counts
    episodes, successes = torch.zeros(ENVS, dtype=torch.int64), torch.zeros(ENVS, dtype=torch.int64)
    for action in torch.from_numpy(0.3 * random_actions(120, ENVS, 7)):
        transition = autoreset.step(action)
        ended = transition.terminated | transition.truncated
        episodes += ended
        successes += ended & transition.final_metrics["is_success"]
        assert torch.equal(transition.terminated, ended & transition.final_metrics["is_success"])
        assert torch.equal(easy._curriculum.episodes, episodes)
        assert torch.equal(easy._curriculum.successes, successes)
        if mode is AutoresetMode.DISABLED and ended.any():
            autoreset.reset(ended)
    assert successes.sum() > 100 and (episodes - successes).sum() > 100
    assert torch.equal(easy.fault_counts, faults)


def test_what_happens_in_the_step_that_nobody_sees_counts_nothing(easy) -> None:
    """It neither succeeds again, nor fails, nor is its fault one: its action is nobody's, and its state is put away."""
    autoreset = Autoreset(easy, AutoresetMode.NEXT_STEP)
    autoreset.reset(seed=0)
    still = torch.zeros(ENVS, 7)
    easy.task.target = easy.task.arm.tool.position + 0.5
    easy.task.target[:2] = easy.task.arm.tool.position[:2]
    first = autoreset.step(still)
    assert first.terminated.tolist() == [env < 2 for env in range(ENVS)]
    faults = easy.fault_counts
    easy.task.arm.entity.set_dofs_velocity([float("nan")], [2], envs_idx=[0])  # a fault while it waits
    action = still.clone()
    action[1] = float("nan")
    unseen = autoreset.step(action)
    assert not (unseen.terminated | unseen.truncated).any() and not unseen.metrics["fault"].any()
    assert (unseen.reward[:2] == 0).all() and torch.isfinite(unseen.observation["policy"]).all()
    assert torch.equal(easy.fault_counts, faults)
    for counts in (easy._curriculum.episodes, easy._curriculum.successes):
        assert counts.tolist() == [int(env < 2) for env in range(ENVS)]
    assert (easy.episode_steps[:2] == 0).all() and (easy.episode_steps[2:] == 2).all()


def test_an_aborted_episode_counts_neither_way(easy) -> None:
    easy.task.target = easy.task.target + 1.0
    easy.step(torch.zeros(ENVS, 7))
    easy.reset()
    easy.reset(torch.arange(ENVS) < 9)
    assert not easy._curriculum.episodes.any() and not easy._curriculum.successes.any()


def test_below_gymnasiums_time_limit_a_reset_tells_of_the_end() -> None:
    """There the clock is Gymnasium's, so that an episode that ran out of time ends where the core sees only a reset."""
    env = gymnasium.make(ENV_ID, max_episode_steps=3, tolerance=1e-6, curriculum=COUNTING)
    env.reset(seed=0)
    counts = env.unwrapped.core._curriculum
    for episode in range(1, 4):
        for _ in range(3):
            truncated = env.step(env.action_space.sample())[3]
        assert truncated
        env.reset()
        assert counts.episodes.item() == episode and counts.successes.item() == 0
    env.reset()
    assert counts.episodes.item() == 3, "one that has not begun has not failed"
    env.close()


def distances(env) -> torch.Tensor:
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


def test_an_environment_is_promoted_by_its_own_success(make_core) -> None:
    """0 and 2 are handed their target; the others never reach it."""
    env = make_core(4, curriculum=Curriculum(initial=0.1, step=0.1, threshold=0.5, window=2), max_episode_steps=1)
    env.reset(seed=0)
    for _ in range(4):  # two episodes judged, twice
        env.task.target[[0, 2]] = env.task.arm.tool.position[[0, 2]]
        env.task.target[[1, 3]] = 5.0
        result = env.step(torch.zeros(4, 7))
        assert result.terminated.tolist() == [True, False, True, False]
        _, metrics = env.reset()
    torch.testing.assert_close(env.difficulty, torch.tensor([0.3, 0.1, 0.3, 0.1]))
    torch.testing.assert_close(metrics["difficulty"], torch.tensor([0.3, 0.1, 0.3, 0.1]))


def test_an_evaluation_is_at_full_difficulty_and_counts_for_nothing(make_core) -> None:
    env = make_core(4, curriculum=Curriculum(initial=0.2, step=0.1, threshold=0.5, window=1))
    env.reset(seed=0)
    env.step(torch.zeros(4, 7))
    target, steps, difficulty = env.task.target.clone(), env.episode_steps, env.difficulty
    with env.evaluation_mode():
        env.reset(seed=1_000)
        assert (distances(env) > 0.05).all() and env.task.difficulty.tolist() == [1.0] * 4
        env.task.target = env.task.arm.tool.position
        assert env.step(torch.zeros(4, 7)).terminated.all()
    assert torch.equal(env.difficulty, difficulty) and torch.equal(env.task.difficulty, torch.full((4,), 0.2))
    assert torch.equal(env.task.target, target) and torch.equal(env.episode_steps, steps)


@given(
    initial=st.floats(0, 1), step=st.floats(0.01, 1), window=st.integers(1, 5), outcomes=st.lists(st.booleans())
)
def test_difficulty_only_grows_and_stays_in_range(initial, step, window, outcomes) -> None:
    curriculum = Curriculum(initial=initial, step=step, threshold=0.75, window=window)
    levels = CurriculumState(curriculum, 3, torch.device("cpu"))
    for outcome in outcomes:
        before = levels.difficulty
        levels.count(torch.tensor([True, False, True]), torch.tensor([outcome, True, not outcome]))
        assert (levels.difficulty >= before).all() and (levels.difficulty <= 1).all()
        assert (levels.episodes < window).all()
    assert levels.difficulty[1] == torch.tensor(initial), "one whose episodes do not end stays"


def test_the_guides_way_by_hand() -> None:
    env = gymnasium.make(ENV_ID, curriculum=Curriculum(threshold=None)).unwrapped
    assert env.difficulty == pytest.approx(0.1)
    env.increase_difficulty()
    env.reset(seed=0)
    assert env.difficulty == pytest.approx(0.2)
    env.close()


def test_without_a_curriculum_nothing_is_promoted(make_core) -> None:
    with pytest.raises(ArgumentError, match="needs a curriculum"):
        make_core(4).increase_difficulty()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"initial": 1.5}, "initial=1.5"),
        ({"windov": 3}, "did you mean 'window'"),
        ({"window": 2.0}, "window=2.0"),
        ("hard", "curriculum='hard'"),
    ],
)
def test_wrong_curricula_are_named(wrong, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        gymnasium.make_vec(ENV_ID, num_envs=2, curriculum=wrong)
    assert named in str(error.value) and "\n" not in str(error.value)
