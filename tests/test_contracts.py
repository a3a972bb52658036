"""The contracts of the batched core. Each test names the one that it holds."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import ENV_ID, random_actions
from genesis_gym import BatchedEnv, GenesisGymError, GenesisSb3VecEnv, GenesisVectorEnv
from genesis_gym.adapters.autoreset import Autoreset
from genesis_gym.errors import ActionError, ArgumentError, ClosedError, NotResetError
from genesis_gym.tasks.arm import OBSERVATION_BOUND
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.world import World


def rollout(env: BatchedEnv, actions: np.ndarray, seed: int = 0) -> torch.Tensor:
    """Observations of a run without autoreset, `(steps + 1, num_envs, numbers)`."""
    observations = [env.reset(seed=seed)[0]["policy"]]
    observations += [env.step(torch.from_numpy(action)).observation["policy"] for action in actions]
    return torch.stack(observations)


@pytest.fixture
def short_episodes(core: BatchedEnv, monkeypatch: pytest.MonkeyPatch) -> BatchedEnv:
    """Eight environments whose episodes end after six steps, some of them in success before."""
    monkeypatch.setattr(core, "max_episode_steps", 6)
    monkeypatch.setattr(core.task, "tolerance", 0.21)
    core.reset(seed=0)
    return core


# 1. Terminal observation


def test_same_step_hands_out_the_true_last_observation(short_episodes: BatchedEnv) -> None:
    actions = random_actions(6, 8, 7)
    truth = rollout(short_episodes, actions)
    autoreset = Autoreset(short_episodes, AutoresetMode.SAME_STEP)
    autoreset.reset(seed=0)
    first_episode = torch.ones(8, dtype=torch.bool)
    for step, action in enumerate(actions):
        transition = autoreset.step(torch.from_numpy(action))
        ended = transition.reset & first_episode
        assert torch.equal(transition.final_observation["policy"][ended], truth[step + 1][ended])
        assert not ended.any() or not torch.equal(transition.observation["policy"][ended], truth[step + 1][ended])
        first_episode &= ~ended
    assert not first_episode.any(), "every environment ended within its six steps"


def test_sb3_terminal_observation_is_the_true_one(short_episodes: BatchedEnv) -> None:
    actions = random_actions(6, 8, 7)
    truth = rollout(short_episodes, actions).numpy()
    venv = GenesisSb3VecEnv(short_episodes)
    venv.seed(0)
    venv.reset()
    running = np.ones(8, dtype=bool)
    for step, action in enumerate(actions):
        observation, _, dones, infos = venv.step(action)
        for env in np.flatnonzero(dones & running):
            np.testing.assert_array_equal(infos[env]["terminal_observation"], truth[step + 1, env])
            assert not np.array_equal(observation[env], truth[step + 1, env])
        assert all(("terminal_observation" in info) == done for info, done in zip(infos, dones, strict=True))
        running &= ~dones
    assert not running.any()


# 2. Time limits


def test_success_terminates_and_only_the_clock_truncates(short_episodes: BatchedEnv) -> None:
    short_episodes.reset(seed=0)
    for step, action in enumerate(random_actions(6, 8, 7)):
        result = short_episodes.step(torch.from_numpy(action))
        assert torch.equal(result.terminated, result.metrics["is_success"])
        last = step == 5
        assert torch.equal(result.truncated, ~result.terminated if last else torch.zeros(8, dtype=torch.bool))
    assert result.terminated.any(), "some environment succeeds at the very step at which its clock runs out"
    assert result.truncated.any()


def test_sb3_says_which_episodes_were_cut_by_the_clock(short_episodes: BatchedEnv) -> None:
    venv = GenesisSb3VecEnv(short_episodes)
    venv.seed(0)
    venv.reset()
    seen = set()
    for action in random_actions(6, 8, 7):
        _, _, dones, infos = venv.step(action)
        for info, done in zip(infos, dones, strict=True):
            if done:
                assert info["TimeLimit.truncated"] is (not info["is_success"])
                seen.add(info["is_success"])
    assert seen == {True, False}


def test_the_single_clock_runs_once() -> None:
    env = gymnasium.make(ENV_ID, max_episode_steps=7)
    try:
        env.unwrapped.core.task.tolerance = 0.0
        env.reset(seed=0)
        ends = [env.step(np.zeros(7, np.float32))[2:4] for _ in range(7)]
        assert ends == [(False, False)] * 6 + [(False, True)]
        assert env.unwrapped.max_steps is None
    finally:
        env.close()


# 3. Autoreset


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_vector_env_equals_gymnasiums_own_vector_of_single_envs(mode: AutoresetMode) -> None:
    """SyncVectorEnv defines the modes: the same seeds and actions give the same everything, bit for bit."""
    task = {"tolerance": 0.21}
    ours = GenesisVectorEnv(3, task=Reach(**task), max_episode_steps=6, autoreset_mode=mode)
    theirs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(ENV_ID, task=Reach(**task), max_episode_steps=6)] * 3, autoreset_mode=mode
    )
    try:
        assert ours.metadata["autoreset_mode"] is mode
        results = ours.reset(seed=5), theirs.reset(seed=5)
        assert_same(*results)
        for action in random_actions(30, 3, 7):
            results = ours.step(action), theirs.step(action)
            # Gymnasium's TimeLimit calls a success at the last step truncated as well; contract 2 does not.
            truncated = results[1][3] & ~results[1][2]
            assert_same(results[0], (*results[1][:3], truncated, results[1][4]))
            ended = results[0][2] | results[0][3]
            if mode is AutoresetMode.DISABLED and ended.any():
                with pytest.raises(NotResetError, match="reset_mask"):
                    ours.step(action)
                masked = [env.reset(options={"reset_mask": ended.copy()}) for env in (ours, theirs)]
                assert_same(*masked)
    finally:
        ours.close()
        theirs.close()


def assert_same(ours: object, theirs: object, path: str = "result") -> None:
    """Compare what two vector environments returned, down to the infos of each environment that has them."""
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(a, b, f"{path}[{i}]")
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), path
        for key in theirs:
            if (
                not key.startswith("_") and key != "end/time_limit"
            ):  # of a single environment Gymnasium has the clock
                mask = theirs[f"_{key}"]
                np.testing.assert_array_equal(ours[f"_{key}"], mask, err_msg=f"{path}[_{key}]")
                if isinstance(theirs[key], dict):
                    assert_same(ours[key], theirs[key], f"{path}[{key}]")
                else:
                    for a, b in zip(ours[key][mask], theirs[key][mask], strict=True):
                        np.testing.assert_array_equal(a, b, err_msg=f"{path}[{key}]")
    else:
        assert ours.dtype == theirs.dtype or ours.dtype.kind == theirs.dtype.kind == "f", path
        np.testing.assert_array_equal(np.asarray(ours, theirs.dtype), theirs, err_msg=path)


# 4. Seeding (and tests/test_determinism.py)


def test_environment_i_equals_a_single_environment_with_seed_plus_i(core: BatchedEnv, single) -> None:
    actions = random_actions(25, 8, 7)
    batch = rollout(core, actions, seed=40).numpy()
    for env in (0, 3, 7):
        observation, _ = single.reset(seed=40 + env)
        np.testing.assert_array_equal(observation, batch[0, env])
        for step, action in enumerate(actions[:, env]):
            np.testing.assert_array_equal(single.step(action)[0], batch[step + 1, env])


def test_episodes_follow_from_seed_and_number_alone(core: BatchedEnv) -> None:
    """The third episode of an environment is the same whether the other environments had one episode or three."""
    core.reset(seed=3)
    core.reset()
    third = core.reset()[0]["policy"]
    core.reset(seed=3)
    alone = torch.arange(8) == 2
    core.reset(alone)
    again = core.reset(alone)[0]["policy"]
    assert torch.equal(again[2], third[2])
    assert not torch.equal(again[1], third[1])


def test_a_list_seeds_each_environment(core: BatchedEnv) -> None:
    counted = core.reset(seed=20)[0]["policy"]
    listed = core.reset(seed=[20, 21, 22, 23, 24, 25, 26, 27])[0]["policy"]
    assert torch.equal(counted, listed)
    mixed = core.reset(seed=[None, 21, None, 23, 24, 25, 26, 27])[0]["policy"]
    assert torch.equal(mixed[1], counted[1])
    assert not torch.equal(mixed[0], counted[0])


# 5. A reset environment equals a fresh one


def test_a_reset_environment_forgets_its_past(core: BatchedEnv) -> None:
    actions = random_actions(20, 8, 7)
    fresh = rollout(core, actions, seed=1)
    for action in random_actions(15, 8, 7, seed=9) * 3:
        core.step(torch.from_numpy(action))
    assert torch.equal(rollout(core, actions, seed=1), fresh)


def test_resetting_some_environments_leaves_the_others_alone(core: BatchedEnv) -> None:
    actions = [torch.from_numpy(action) for action in random_actions(20, 8, 7)]
    truth = rollout(core, random_actions(20, 8, 7), seed=1)
    core.reset(seed=1)
    for action in actions[:10]:
        before = core.step(action).observation["policy"]
    envs = torch.arange(8) % 2 == 0
    after = core.reset(envs)[0]["policy"]
    assert torch.equal(after[~envs], before[~envs])
    for step, action in enumerate(actions[10:], start=11):
        result = core.step(action)
        assert torch.equal(result.observation["policy"][~envs], truth[step][~envs])


# 6. A bad environment never harms another


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["action", "position", "velocity", "force"])
def test_a_bad_environment_is_truncated_counted_and_reset(
    core: BatchedEnv, monkeypatch: pytest.MonkeyPatch, where: str, poison: float
) -> None:
    monkeypatch.setattr(core.task, "tolerance", 0.0)  # no environment ends by success
    actions = random_actions(40, 8, 7)
    truth = rollout(core, actions, seed=2)
    others = torch.arange(8) != 3
    autoreset = Autoreset(core, AutoresetMode.SAME_STEP)
    autoreset.reset(seed=2)
    counted = core.fault_counts
    faults = []
    for step, action in enumerate(torch.from_numpy(actions)):
        if step == 5:
            entity = core.task.arm.entity
            if where == "action":
                action = action.clone()
                action[3, 2] = poison
            elif where == "position":
                entity.set_dofs_position([poison], [1], envs_idx=[3])
            elif where == "velocity":
                entity.set_dofs_velocity([poison], [1], envs_idx=[3])
            else:
                entity.apply_links_external_wrench([[[poison, 0.0, 0.0]]], links_idx_local=[7], envs_idx=[3])
        transition = autoreset.step(action)
        assert torch.equal(transition.final_observation["policy"][others], truth[step + 1][others])
        assert torch.isfinite(transition.final_observation["policy"]).all()
        assert torch.isfinite(transition.observation["policy"]).all()
        assert torch.isfinite(transition.reward).all()
        assert not transition.final_metrics["fault"][others].any()
        if transition.final_metrics["fault"][3]:
            faults.append(step)
            assert transition.truncated[3] and not transition.terminated[3] and transition.reset[3]
            assert transition.reward[3] == 0

    assert faults == [5], "told at the very step"
    assert (core.fault_counts - counted).tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("fault", ["nan", "neutral"])
def test_what_is_no_action_asks_for_nothing(make_core, fault: str) -> None:
    """Where a number is a place to go to, zero would move the arm; the fingers stay where they are, too."""
    env = make_core(2, task="lift_cube", control_mode="joint_position")
    env.reset(seed=0)
    for _ in range(8):
        env.step(torch.cat([env.neutral_action[:, :7] + 0.1, -torch.ones(2, 1)], dim=-1).clamp(-1, 1))
    for _ in range(10):  # lets the arm come to rest
        env.step(env.neutral_action)
    joints, fingers = env.task.arm.joint_position, env.task.arm.gripper.opening
    assert ((fingers > 0.005) & (fingers < 0.035)).all(), "neither open nor closed"
    for _ in range(15):
        action = env.neutral_action
        if fault == "nan":
            action[0, 0] = float("nan")
        env.step(action)
    assert (env.task.arm.joint_position - joints).abs().max() < 2e-2
    assert (env.task.arm.gripper.opening - fingers).abs().max() < 1e-3


def test_a_bad_environment_that_nobody_resets_stays_truncated_and_stops_nobody(core: BatchedEnv) -> None:
    actions = random_actions(60, 8, 7)
    truth = rollout(core, actions, seed=2)
    core.reset(seed=2)
    counted = core.fault_counts
    core.task.arm.entity.set_dofs_position([float("nan")], [0], envs_idx=[3])
    others = torch.arange(8) != 3
    for step, action in enumerate(actions):
        result = core.step(torch.from_numpy(action))
        assert result.truncated[3] and result.metrics["fault"][3]
        assert torch.equal(result.observation["policy"][others], truth[step + 1][others])
    assert (core.fault_counts - counted)[3] == 1, "one fault, however long it lasts"


# 7. No aliasing


def test_what_step_returned_never_changes(core: BatchedEnv) -> None:
    core.reset(seed=0)
    kept = [core.step(torch.from_numpy(action)) for action in random_actions(3, 8, 7)]
    copies = [[t.clone() for t in tensors(result)] for result in kept]
    core.step(torch.ones(8, 7))
    core.reset()
    for result, copy in zip(kept, copies, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(result), copy, strict=True))
    storages = [{t.untyped_storage().data_ptr() for t in tensors(result)} for result in kept]
    assert len(set.union(*storages)) == sum(map(len, storages)), "no two results share memory"


def test_writing_into_a_result_does_not_reach_the_environment(core: BatchedEnv) -> None:
    actions = random_actions(6, 8, 7)
    truth = rollout(core, actions, seed=0)
    core.reset(seed=0)[0]["policy"].fill_(9)
    core.observation["policy"].fill_(9)
    core.neutral_action.fill_(9)
    sums = 0.0
    for step, action in enumerate(actions):
        given = torch.from_numpy(action.copy())
        result = core.step(given)
        assert torch.equal(given, torch.from_numpy(action)), "the action given is not changed either"
        sums = sums + result.metrics["reward/distance"]
        assert torch.allclose(result.metrics["reward_sum/distance"], sums)
        assert torch.equal(result.observation["policy"], truth[step + 1])
        for tensor in tensors(result):
            tensor.fill_(1)
    first = torch.arange(8) == 0
    observation = core.reset(first)[0]["policy"]
    assert torch.equal(observation[~first], truth[-1][~first]), "those that were not reset show their true state"


def tensors(result) -> list[torch.Tensor]:
    return [*result.observation.values(), *result[1:4], *result.metrics.values()]


# 8. close


def test_close_is_idempotent_and_leaves_others_alive(core: BatchedEnv) -> None:
    other = BatchedEnv(num_envs=2)
    other.reset(seed=0)
    other.close()
    other.close()
    for method in (other.reset, other.render, lambda: other.step(torch.zeros(2, 7))):
        with pytest.raises(ClosedError, match="closed"):
            method()
    core.reset(seed=0)
    core.step(torch.zeros(8, 7))


@pytest.mark.parametrize("hook", ["build", "start", "observe", "reward"])
def test_a_task_that_fails_leaves_no_scene_behind(monkeypatch, caplog, hook: str) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    closed: list[World] = []
    close = World.close
    monkeypatch.setattr(World, "close", lambda world: (closed.append(world), close(world))[0])
    with pytest.raises(ZeroDivisionError):
        BatchedEnv(type("Failing", (Reach,), {hook: fail})(), num_envs=2)
    assert len(closed) == 1 and caplog.messages == []


# 9. Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_envs": 0}, "num_envs=0"),
        ({"num_envs": -3}, "num_envs=-3"),
        ({"num_envs": 2.5}, "num_envs=2.5"),
        ({"num_envs": True}, "num_envs=True"),
        ({"robot": "frank"}, "robot='frank' is not known (did you mean 'franka'?)"),
        ({"task": "reech"}, "task='reech' is not known (did you mean 'reach'?)"),
        ({"scene_type": "moon"}, "scene_type='moon' is not known; allowed: 'empty', 'table', 'bin'"),
        ({"control_mode": "telepathy"}, "allowed: 'joint_delta', 'joint_position'"),
        ({"device": "tpu"}, "allowed: 'auto', 'cpu', 'gpu'"),
        ({"max_episode_steps": 0}, "max_episode_steps=0"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        BatchedEnv(**arguments)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_one_task_declaration_makes_many_environments() -> None:
    declared = Reach(tolerance=0.1)
    first, second = (gymnasium.make(ENV_ID, task=declared) for _ in range(2))
    third = first.spec.make()
    tasks = [env.unwrapped.core.task for env in (first, second, third)]
    assert [task.tolerance for task in tasks] == [0.1] * 3
    assert len({id(task) for task in (declared, *tasks)}) == 4
    for env in (first, second, third):
        env.close()


@pytest.mark.parametrize(
    ("action", "named"),
    [
        (torch.zeros(8, 6), "(8, 6); it must be (num_envs, action_dim) = (8, 7)"),
        (torch.zeros(7), "(7,)"),
        (torch.zeros(1, 7), "(1, 7)"),
        (torch.zeros(8, 7, dtype=torch.int64), "torch.int64"),
        (np.zeros((8, 7), np.float32), "ndarray"),
    ],
)
def test_wrong_actions_are_named(core: BatchedEnv, action: object, named: str) -> None:
    with pytest.raises(ActionError, match="action has") as error:
        core.step(action)
    assert named in str(error.value)


def test_step_before_reset_is_refused() -> None:
    env = BatchedEnv(num_envs=2)
    try:
        for method in (lambda: env.step(torch.zeros(2, 7)), env.render):
            with pytest.raises(NotResetError, match=r"call reset\(\) first"):
                method()
        with pytest.raises(NotResetError, match="of all"):
            env.reset(torch.tensor([True, False]))
    finally:
        env.close()


@pytest.mark.parametrize(
    "bad",
    [
        {"seed": -1},
        {"seed": [1, 2]},
        {"seed": [0.5] * 8},
        {"seed": 2**63},
        {"envs": torch.ones(3, dtype=torch.bool)},
        {"envs": torch.ones(8)},
    ],
)
def test_wrong_resets_are_refused_and_change_nothing(core: BatchedEnv, bad: dict) -> None:
    actions = random_actions(2, 8, 7)
    truth = rollout(core, actions, seed=4)
    core.reset(seed=4)
    core.step(torch.from_numpy(actions[0]))
    with pytest.raises(GenesisGymError):
        core.reset(**bad)
    assert torch.equal(core.step(torch.from_numpy(actions[1])).observation["policy"], truth[2])


# Properties over arbitrary actions


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=7, max_size=7), st.integers(0, 7)
)
def test_any_action_gives_a_result_within_the_space(core: BatchedEnv, values: list[float], env: int) -> None:
    action = torch.zeros(8, 7)
    action[env] = torch.tensor(values)
    core.reset(seed=0)
    result = core.step(action)
    observation = result.observation["policy"]
    assert torch.isfinite(observation).all() and torch.isfinite(result.reward).all()
    assert (observation.abs() <= OBSERVATION_BOUND).all()
    assert not (result.terminated & result.truncated).any()
    assert result.metrics["fault"].tolist() == [i == env and not np.isfinite(values).all() for i in range(8)]


# 10. Nothing is forgotten (and tests/test_component.py)


def leaves(state: dict, where: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a nested state by their path."""
    found = {}
    for name, part in state.items():
        found |= leaves(part, f"{where}/{name}") if isinstance(part, dict) else {f"{where}/{name}": part}
    return found


@pytest.mark.parametrize("task", ["reach", "push"])
def test_a_state_goes_on_in_a_fresh_scene_bit_for_bit(task: str) -> None:
    """The arm presses on the ground, so that contacts and the solver's warm start are part of the state."""
    settings = {"max_episode_steps": 100, "control_mode": "joint_delta"}
    first, fresh = (BatchedEnv(task, num_envs=3, **settings) for _ in range(2))
    actions = torch.from_numpy(random_actions(110, 3, 7))
    actions[:, :, 1], actions[:, :, 3] = 0.8, -0.2
    first.reset(seed=4)
    for action in actions[:60]:
        first.step(action)
    state = first.state_dict()
    kept = {name: value.clone() for name, value in leaves(state).items()}
    fresh.load_state_dict(state)
    assert torch.equal(fresh.observation["policy"], first.observation["policy"])
    for action in actions[60:]:
        one, other = first.step(action), fresh.step(action)
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))
        if one.truncated.any():
            again = (env.reset(one.truncated)[0]["policy"] for env in (first, fresh))
            assert torch.equal(*again), "and the next episode is the same"
    assert all(torch.equal(value, kept[name]) for name, value in leaves(state).items()), (
        "a state is nobody's buffer"
    )
    indices = [
        name for name, value in kept.items() if "/solver/" in name and value.dtype in (torch.int32, torch.int64)
    ]
    assert not indices, "a state from a stranger leads nothing astray in memory"
    first.close()
    fresh.close()


@pytest.mark.parametrize("damage", ["missing", "unknown", "shape", "dtype", "no dictionary"])
def test_a_state_of_another_environment_is_refused(core: BatchedEnv, damage: str) -> None:
    actions = random_actions(4, 8, 7)
    truth = rollout(core, actions, seed=1)
    core.reset(seed=2)
    state = core.state_dict()
    rollout(core, actions[:2], seed=1)
    term = state["task"]["actions"]["terms"]["arm"]
    if damage == "missing":
        del term["target"]
    elif damage == "unknown":
        state["_episodes"]["x"] = torch.zeros(8)
    elif damage == "shape":
        state["_episodes"]["clock"] = state["_episodes"]["clock"][:3]
    elif damage == "dtype":
        term["target"] = term["target"].double()
    else:
        term["target"] = {}
    with pytest.raises(ArgumentError, match="state is of another environment") as error:
        core.load_state_dict(state)
    assert "\n" not in str(error.value)
    for step, action in enumerate(actions[2:], start=3):
        assert torch.equal(core.step(torch.from_numpy(action)).observation["policy"], truth[step])


# Nothing in a step waits for the device


class HostReads(TorchDispatchMode):
    """Notes every operation whose result the host has to wait for on a GPU."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal")

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().removeprefix("aten::").partition(".")[0]
        if name in self.WAITING or name.startswith("unique"):
            self.names.add(name)
        result = function(*args, **(kwargs or {}))
        if name == "_to_copy" and (kwargs or {}).get("device", args[0].device) != args[0].device:
            self.names.add("to another device")
        return result


@pytest.mark.parametrize("task", ["reach", "push"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"goal": True},
        {"curriculum": {}, "randomization": {"wind": (0.0, 1.0), "noise.joint_position": (0.0, 0.1)}},
    ],
    ids=["plain", "goal", "varied"],
)
def test_a_step_never_waits_for_the_device(monkeypatch, task: str, settings: dict) -> None:
    env = BatchedEnv(task, num_envs=3, max_episode_steps=5, **settings)
    env.reset(seed=0)
    for name in ("core.env", "core.episodes", "variation.pushes"):  # on a CPU it looks, which costs nothing there
        monkeypatch.setattr(f"genesis_gym.{name}.known_empty", lambda envs: False)
    with HostReads() as reads:
        for action in torch.from_numpy(random_actions(20, 3, env.action_dim)):  # past the clock and a fault check
            env.step(action)
    assert not reads.names
    env.close()
