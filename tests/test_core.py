"""What a task of one's own may count on: ends, rewards, groups of observations, noise, and its place in the process."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings

import gymnasium
import numpy as np
import psutil
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import genesis_gym
from conftest import ENV_ID, random_actions
from genesis_gym import BatchedEnv, GenesisSb3VecEnv
from genesis_gym.errors import ArgumentError
from own_tasks import Looking, Slide

ENVS = 6
SIZE = 2


@pytest.fixture
def slide(make_core) -> BatchedEnv:
    env = make_core(ENVS, task=Slide)
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module", autouse=True)
def registered():
    genesis_gym.register("Test/Slide-v0", Slide)
    genesis_gym.register("Test/Looking-v0", Looking)
    yield
    for name in ("Test/Slide-v0", "Test/Looking-v0"):
        del gymnasium.registry[name]


def pushes(*directions: tuple[float, float]) -> torch.Tensor:
    """Push some environments; the rest stand still."""
    action = torch.zeros(ENVS, SIZE)
    action[: len(directions)] = torch.tensor(directions)
    return action


# Ends


def test_reasons_of_ends_reach_the_metrics(slide: BatchedEnv) -> None:
    """0 succeeds, 1 goes backwards, 2 leaves, 3 crosses both lines in one step, the others run out of time."""
    seen: dict[int, str] = {}
    action = pushes((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    for step in range(20):
        if step == 10:
            there = torch.tensor([[0.1, 0.1, 0.05]]).expand(ENVS, 3)
            slide.task.box.place(torch.arange(ENVS) == 3, there)
        result = slide.step(action)
        reasons = {name: mask for name, mask in result.metrics.items() if name.startswith("end/")}
        assert set(reasons) == {
            f"end/{reason}" for reason in ("success", "backwards", "left", "time_limit", "fault")
        }
        for env in range(ENVS):
            names = [name for name, mask in reasons.items() if mask[env]]
            if names and env not in seen:
                seen[env] = (names, bool(result.terminated[env]), bool(result.truncated[env]))
        assert torch.equal(result.metrics["is_success"], reasons["end/success"])
        assert not (result.terminated & result.truncated).any()
    assert seen == {
        0: (["end/success"], True, False),
        1: (["end/backwards"], True, False),
        2: (["end/left"], False, True),
        3: (["end/left", "end/success"], True, False),
        4: (["end/time_limit"], False, True),
        5: (["end/time_limit"], False, True),
    }


def test_reasons_reach_every_adapter() -> None:
    envs = gymnasium.make_vec("Test/Slide-v0", num_envs=ENVS, autoreset_mode="SameStep")
    venv = GenesisSb3VecEnv(envs.unwrapped.core)
    envs.reset(seed=0)
    ends = []
    for _ in range(20):
        *_, infos = envs.step(pushes((1.0, 0.0)).numpy())
        if "final_info" in infos:
            final = infos["final_info"]
            ends += [(env, bool(final["end/success"][env])) for env in np.flatnonzero(infos["_final_info"])]
    assert (0, True) in ends and (5, False) in ends
    venv.reset()
    for _ in range(20):
        _, _, dones, infos = venv.step(pushes((0.0, 1.0)).numpy())
        if dones[0]:
            assert infos[0]["end/left"] and not infos[0]["end/success"] and infos[0]["TimeLimit.truncated"]
            break
    assert dones[0]
    envs.close()


# Rewards


def test_the_sum_of_each_term_is_that_over_the_episode(slide: BatchedEnv) -> None:
    assert slide.reward_weights == {"progress": 1.0, "effort": -0.1, "success": 1.0, "unused": 0.0}
    sums, rewards = {}, torch.zeros(ENVS)
    alive = torch.ones(ENVS, dtype=torch.bool)
    actions = torch.from_numpy(random_actions(15, ENVS, SIZE)) + pushes((0.8, 0.0))
    for action in actions:
        result = slide.step(action)
        terms = [name[7:] for name in result.metrics if name.startswith("reward/")]
        assert terms == ["progress", "effort", "success"], "those whose weight is not 0"
        rewards = rewards + torch.where(alive, result.reward, 0.0)
        for term in terms:
            sums[term] = sums.get(term, 0.0) + torch.where(alive, result.metrics[f"reward/{term}"], 0.0)
            torch.testing.assert_close(result.metrics[f"reward_sum/{term}"], sums[term])
        total = torch.stack([result.metrics[f"reward/{term}"] for term in terms]).sum(0)
        torch.testing.assert_close(result.reward, total)
        alive &= ~(result.terminated | result.truncated)
    assert not alive[0] and alive.any(), "one ended on the way; what came after does not count"
    torch.testing.assert_close(sum(sums.values()), rewards)
    some = torch.arange(ENVS) < 2
    _, metrics = slide.reset(some)
    for term in sums:
        assert torch.equal(metrics[f"reward_sum/{term}"] == 0, some | (sums[term] == 0))


# Observations


def test_noise_belongs_to_its_part(make_core) -> None:
    noisy = make_core(ENVS, task=Slide, noise={"velocity": 0.5})
    errors = []
    noisy.reset(seed=0)
    for _ in range(40):
        observation = noisy.step(torch.zeros(ENVS, SIZE)).observation["policy"]
        layout = noisy.observation_layout["policy"]
        assert torch.equal(observation[:, layout["position"]], noisy.task.box.position)
        errors.append(observation[:, layout["velocity"]] - noisy.task.box.linear_velocity)
    errors = torch.stack(errors)
    assert errors.std() == pytest.approx(0.5, rel=0.1) and errors.mean().abs() < 0.06
    assert errors.unique().numel() == errors.numel(), "new in every step, environment and number"


def test_noise_may_be_drawn_anew_for_each_episode(make_core) -> None:
    env = make_core(ENVS, task=Slide, randomization={"noise.position": (0.01, 0.3)})
    _, metrics = env.reset(seed=0)
    drawn = metrics["randomization/noise.position"]
    errors = []
    for _ in range(200):
        result = env.step(torch.zeros(ENVS, SIZE))
        errors.append(result.observation["policy"][:, :3] - env.task.box.position)
        assert torch.equal(result.observation["policy"][:, 3:], env.task.box.linear_velocity)
    torch.testing.assert_close(torch.stack(errors).std((0, 2)), drawn, rtol=0.15, atol=0)


def test_scale_and_clip_follow_noise(make_core) -> None:
    env = make_core(ENVS, task=Slide, scale={"position": 10.0}, clip={"velocity": 0.02})
    low, high = env.observation_bounds["policy"]
    assert high.tolist() == pytest.approx([np.inf] * 3 + [0.02] * 3) and torch.equal(low, -high)
    env.reset(seed=0)
    for _ in range(5):
        observation = env.step(pushes((1.0, 0.0))).observation["policy"]
    torch.testing.assert_close(observation[:, :3], 10.0 * env.task.box.position)
    assert observation[0, 3] == high[3] < env.task.box.linear_velocity[0, 0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"noise": {"velosity": 0.1}}, "'velosity' is not known (did you mean 'velocity'?)"),
        ({"noise": {"velocity": -0.1}}, "noise: velocity=-0.1"),
        ({"scale": {"velocity": float("nan")}}, "scale: velocity=nan"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"clip": {"speed": 1.0}}, "'speed' is not known"),
        ({"randomization": {"noise.speed": (0.0, 0.1)}}, "'noise.speed' is not known"),
    ],
)
def test_wrong_declarations_of_parts_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(ArgumentError) as error:
        BatchedEnv(Slide, num_envs=2, **arguments)
    assert named in str(error.value) and "\n" not in str(error.value)


GROUPS = {
    "policy": ((6,), np.float32),
    "critic": ((8,), np.float32),
    "image": ((8, 8, 3), np.uint8),
    "depth": ((4, 4), np.float32),
}


@pytest.fixture
def looking(make_core) -> BatchedEnv:
    env = make_core(ENVS, task=Looking)
    env.reset(seed=0)
    return env


def test_groups_in_the_core(looking: BatchedEnv) -> None:
    result = looking.step(pushes((1.0, 0.0)))
    shapes = {group: (tuple(tensor.shape), tensor.dtype) for group, tensor in result.observation.items()}
    assert shapes == {
        "policy": ((ENVS, 6), torch.float32),
        "critic": ((ENVS, 8), torch.float32),
        "image": ((ENVS, 8, 8, 3), torch.uint8),
        "depth": ((ENVS, 4, 4), torch.float32),
    }
    layout = looking.observation_layout
    assert layout["image"] == layout["depth"] == {}
    assert list(layout["critic"]) == ["position", "velocity", "force"]
    truth = looking.task.box.linear_velocity
    assert not torch.equal(result.observation["policy"][:, layout["policy"]["velocity"]], truth)
    assert torch.equal(result.observation["critic"][:, layout["critic"]["velocity"]], truth), "without noise"
    low, high = looking.observation_bounds["image"]
    assert low.dtype == torch.uint8 and low.shape == (8, 8, 3) and (low == 0).all() and (high == 255).all()


def test_a_non_finite_image_is_a_fault_of_its_environment(looking: BatchedEnv, monkeypatch) -> None:
    observe = looking.task.observe

    def spoilt() -> dict:
        groups = dict(observe())
        groups["depth"] = groups["depth"].clone()
        groups["depth"][2, 1, 1] = float("inf")
        return groups

    before = looking.observation
    monkeypatch.setattr(looking.task, "observe", spoilt)
    result = looking.step(torch.zeros(ENVS, SIZE))
    assert result.metrics["fault"].tolist() == [env == 2 for env in range(ENVS)]
    for group, tensor in result.observation.items():
        assert torch.equal(tensor[2], before[group][2]), "the last good one, of every group"
    assert torch.isfinite(result.observation["depth"]).all()


def test_groups_through_gymnasium() -> None:
    env = gymnasium.make("Test/Looking-v0")
    assert {name: (box.shape, box.dtype) for name, box in env.observation_space.spaces.items()} == GROUPS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*Box observation space m.*imum value is -?infinity")
        check_env(env.unwrapped)
    env.close()

    envs = gymnasium.make_vec("Test/Looking-v0", num_envs=3, autoreset_mode="SameStep")
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    for _ in range(20):
        observation, _, terminated, truncated, infos = envs.step(np.zeros((3, SIZE), np.float32))
        assert observation in envs.observation_space
    assert truncated.all() and not terminated.any()
    assert all(final in envs.single_observation_space for final in infos["final_obs"])
    envs.close()


def test_groups_through_sb3(looking: BatchedEnv) -> None:
    venv = GenesisSb3VecEnv(looking)
    assert {name: (box.shape, box.dtype) for name, box in venv.observation_space.spaces.items()} == GROUPS
    observation = venv.reset()
    for _ in range(20):
        observation, _, dones, infos = venv.step(np.zeros((ENVS, SIZE), np.float32))
    assert {name: (array.shape[1:], array.dtype) for name, array in observation.items()} == GROUPS
    assert dones.all() and all(info["terminal_observation"] in venv.observation_space for info in infos)


@pytest.mark.parametrize("noise", ["noise.achieved_goal", "noise.desired_goal", "noise.joint_position"])
def test_noise_reaches_the_goal_dictionary(make_core, noise: str) -> None:
    part = noise.removeprefix("noise.")
    group = "observation" if part == "joint_position" else part
    env = make_core(4, task="reach", goal=True, randomization={noise: (0.05, 0.05)})
    plain = make_core(4, task="reach", goal=True)
    noisy, exact = env.reset(seed=0)[0], plain.reset(seed=0)[0]
    for name in exact:
        place = env.observation_layout[name].get(part)
        different = noisy[name] != exact[name]
        if name == group:
            assert different[:, place].all()
            different[:, place] = False
        assert not different.any()


def test_noise_of_a_task_does_not_forbid_to_show_its_goal_by_itself() -> None:
    """The parts that depend on the goal are left out there, and their noise with them."""
    noise = {"target": 0.1, "joint_position": 0.1, "achieved_goal": 0.2}
    env = BatchedEnv("reach", num_envs=2, goal=True, noise=noise)
    assert torch.isfinite(env.reset(seed=0)[0]["achieved_goal"]).all()
    env.close()


# Random numbers within an episode


def test_random_numbers_of_a_step(slide: BatchedEnv, make_core) -> None:
    def moments(env: BatchedEnv, steps: int = 6) -> torch.Tensor:
        env.reset(seed=7)
        drawn = []
        for _ in range(steps):
            env.step(torch.zeros(env.num_envs, SIZE))
            drawn.append(env.task.moment)
        return torch.stack(drawn)

    one = moments(slide)
    assert one.unique().numel() == one.numel(), "another in every step and environment"
    assert torch.equal(moments(slide), one)
    assert torch.equal(moments(make_core(2, task=Slide)), one[:, :2])
    slide.reset()
    slide.step(torch.zeros(ENVS, SIZE))
    assert not torch.equal(slide.task.moment, one[0]), "and in every episode"


# Its place in the process


@pytest.mark.parametrize("where", ["first reset", "every call"])
def test_inference_mode_is_the_callers_own(where: str) -> None:
    """What is made within it must be of use outside, and the other way round."""
    env = BatchedEnv(Slide, num_envs=2)
    with torch.inference_mode():
        observation, metrics = env.reset(seed=0)
        action = torch.ones(2, SIZE)
        if where == "every call":
            observation, *_, metrics = env.step(action)
    kept = [env.task.actions.action, env.task.moment, *observation.values(), *metrics.values()]
    assert not any(tensor.is_inference() for tensor in kept)
    env.step(action)  # an inference tensor, from outside
    result = env.step(torch.ones(2, SIZE))
    assert not any(tensor.is_inference() for tensor in (result.reward, *result.observation.values()))
    with torch.inference_mode():
        env.step(torch.ones(2, SIZE))
        env.reset(torch.tensor([True, False]))
    state = env.state_dict()
    env.load_state_dict(state)
    env.step(torch.ones(2, SIZE))
    env.close()


def test_a_step_keeps_no_graph(make_core) -> None:
    env = make_core(ENVS, task=Slide, max_episode_steps=1_000_000, episode_seconds=None)
    policy = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Tanh(), torch.nn.Linear(64, SIZE))
    result = None
    observation = env.reset(seed=0)[0]["policy"]
    for step in range(60):
        result = env.step(policy(observation))
        observation = result.observation["policy"]
        tensors = [result.reward, observation, *result.metrics.values(), env.task.actions.action]
        assert not any(tensor.requires_grad for tensor in tensors)
        if step == 20:
            gc.collect()
            alive = len([thing for thing in gc.get_objects() if type(thing) is torch.Tensor])
    gc.collect()
    assert len([thing for thing in gc.get_objects() if type(thing) is torch.Tensor]) <= alive + 5
    assert "effort" in env.reward_weights, "a term of the action is in the reward"


def test_memory_does_not_grow_with_steps(slide: BatchedEnv) -> None:
    process = psutil.Process()
    policy = torch.nn.Linear(6, SIZE)
    for step in range(600):
        slide.step(policy(slide.observation["policy"]))
        if step == 200:
            before = process.memory_info().rss
    assert process.memory_info().rss - before < 8e6


def test_the_default_dtype_of_the_process_does_not_matter(slide: BatchedEnv) -> None:
    def play(env: BatchedEnv) -> list[torch.Tensor]:
        env.reset(seed=3)
        results = [env.step(action) for action in torch.from_numpy(random_actions(5, ENVS, SIZE))]
        return [t for r in results for t in (*r.observation.values(), *r[1:4], *r.metrics.values())]

    truth = play(slide)
    assert len(truth) > 20
    torch.set_default_dtype(torch.float64)
    try:
        again = play(slide)  # made before
        env = BatchedEnv(Slide, num_envs=ENVS)  # made after
        fresh = play(env)
        assert env.neutral_action.dtype == env.action_low.dtype == torch.float32
        env.close()
        arm = BatchedEnv(
            "push",
            num_envs=2,
            curriculum={},
            randomization={"wind": (0.0, 1.0), "payload": (0.0, 0.5), "gravity": (9.0, 10.0)},
        )
        arm.reset(seed=0)
        result = arm.step(torch.zeros(2, arm.action_dim))
        arm.close()
    finally:
        torch.set_default_dtype(torch.float32)
    for other in (again, fresh):
        for a, b in zip(truth, other, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)
    floats = [
        t for t in (result.reward, *result.observation.values(), *result.metrics.values()) if t.is_floating_point()
    ]
    assert {tensor.dtype for tensor in floats} == {torch.float32}


@pytest.mark.parametrize("kind", ["single", "vector", "core", "sb3", "rsl_rl"])
def test_pickle_and_copy_are_refused_in_one_line(kind: str, slide: BatchedEnv) -> None:
    if kind == "single":
        env = gymnasium.make("Test/Slide-v0")
    elif kind == "vector":
        env = gymnasium.make_vec("Test/Slide-v0", num_envs=2)
    elif kind == "rsl_rl":
        env = genesis_gym.GenesisRslRlVecEnv(slide)
    else:
        env = slide if kind == "core" else GenesisSb3VecEnv(slide)
    for attempt in (
        (pickle.dumps, copy.deepcopy, copy.copy) if kind in ("core",) else (pickle.dumps, copy.deepcopy)
    ):
        with pytest.raises(TypeError, match=r"cannot be pickled or copied.*env\.spec.*state_dict") as error:
            attempt(env)
        assert "\n" not in str(error.value)
    if kind in ("single", "vector"):
        env.close()


def test_a_task_that_already_has_a_world_is_refused_in_one_line(slide: BatchedEnv) -> None:
    with pytest.raises(ArgumentError, match="task") as error:
        BatchedEnv(slide.task, num_envs=2)
    assert "\n" not in str(error.value)


# Cameras


def test_rendering_without_a_camera_is_one_clear_error(slide: BatchedEnv) -> None:
    for envs in (None, [0], [1, 2]):
        with pytest.raises(ArgumentError, match=r"there is no camera; .*render_mode='rgb_array'") as error:
            slide.render(envs)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("camera_envs", [[7], [0, 2], [-1], range(3)])
def test_a_camera_of_no_environment_is_refused(camera_envs) -> None:
    with pytest.raises(ArgumentError, match=r"camera_envs.*num_envs=2"):
        BatchedEnv(Slide, num_envs=2, camera_envs=camera_envs)


@pytest.mark.parametrize("camera_envs", [["0"], 3, [0.5], [None]])
def test_what_is_no_list_of_environments_is_refused(camera_envs) -> None:
    with pytest.raises(ArgumentError, match="camera_envs"):
        BatchedEnv(Slide, num_envs=2, camera_envs=camera_envs)


def test_the_cameras_environments_are_drawn_in_order() -> None:
    env = BatchedEnv(Slide, num_envs=3, camera_envs=(0, np.int64(2)))
    env.reset(seed=0)
    frames = env.render()
    assert frames.shape[0] == 2 and frames.dtype == np.uint8
    np.testing.assert_array_equal(env.render([2, 0]), frames[::-1])
    for wrong in ([3], [-1], [0.5]):
        with pytest.raises(ArgumentError, match="num_envs=3"):
            env.render(wrong)
    env.close()


# Arguments


def test_a_misspelt_argument_is_named_before_anything_is_built(monkeypatch) -> None:
    monkeypatch.setattr(genesis_gym.World, "__init__", lambda *_, **__: pytest.fail("a world was made"))
    for make in (
        lambda: gymnasium.make(ENV_ID, tolerence=0.1),
        lambda: gymnasium.make_vec(ENV_ID, num_envs=2, tolerence=0.1),
        lambda: genesis_gym.make_core(ENV_ID, 2, tolerence=0.1),
        lambda: genesis_gym.make_sb3_vec_env(ENV_ID, 2, tolerence=0.1),
        lambda: BatchedEnv(Slide(), tolerence=0.1),
    ):
        with pytest.raises(ArgumentError, match=r"'tolerence' is not known.*allowed: .*'decimation'") as error:
            make()
        assert "\n" not in str(error.value)
    assert "'curriculum'" in str(error.value) and "'line'" in str(error.value)


def test_both_names_of_the_robot_work(monkeypatch) -> None:
    chosen = []

    def stop(self, *_, **__) -> None:
        raise InterruptedError

    monkeypatch.setattr(genesis_gym.World, "__init__", stop)
    post_init = genesis_gym.ArmTask.__post_init__
    monkeypatch.setattr(
        genesis_gym.ArmTask, "__post_init__", lambda task: (post_init(task), chosen.append(task.robot.name))
    )
    for name in ("robot", "robot_type"):
        for env_id in (ENV_ID, "Genesis/UR5eReach-v0"):
            options = {name: "kuka_iiwa"}
            for make in (
                lambda: gymnasium.make(env_id, **options),  # noqa: B023
                lambda: gymnasium.make_vec(env_id, num_envs=2, **options),  # noqa: B023
                lambda: genesis_gym.make_core(env_id, 2, **options),  # noqa: B023
            ):
                with pytest.raises(InterruptedError):
                    make()
    assert chosen == ["kuka_iiwa"] * 12


# Seeds


@pytest.mark.parametrize(
    "seed",
    [
        np.int64(7),
        np.uint8(7),
        np.array(7),
        torch.tensor(7),
        list(range(7, 13)),
        np.arange(7, 13),
        torch.arange(7, 13),
    ],
)
def test_every_kind_of_integer_is_a_seed(slide: BatchedEnv, seed: object) -> None:
    truth = slide.reset(seed=7)[0]["policy"]
    assert torch.equal(slide.reset(seed=seed)[0]["policy"], truth)
    if np.ndim(seed) == 0:
        venv = GenesisSb3VecEnv(slide)
        venv.seed(seed)
        np.testing.assert_array_equal(venv.reset(), truth.numpy())


@pytest.mark.parametrize(
    "seed", [1.5, np.float64(2.0), "7", True, [0.5] * ENVS, np.zeros(ENVS), np.ones(ENVS, bool), {}, [True] * ENVS]
)
def test_what_is_no_integer_is_no_seed(slide: BatchedEnv, seed: object) -> None:
    with pytest.raises(ArgumentError, match="seed") as error:
        slide.reset(seed=seed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [1.5, "7", -1])
def test_gymnasiums_adapters_refuse_what_is_no_seed(seed: object) -> None:
    for env in (gymnasium.make("Test/Slide-v0"), gymnasium.make_vec("Test/Slide-v0", num_envs=2)):
        with pytest.raises((ArgumentError, gymnasium.error.Error)):
            env.reset(seed=seed)
        env.close()
