"""The checker of vector environments: what keeps the contract passes, and each rule can be broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from conftest import ENV_ID
from genesis_gym import BatchedEnv
from genesis_gym.adapters import vector
from genesis_gym.core.make import make_core
from genesis_gym.errors import ArgumentError
from genesis_gym.registration import ENVIRONMENTS
from genesis_gym.testing import PROMISES, RULES, ContractError, check_vector_env

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode
OWN_RULES = {
    NEXT_STEP: {"next_step", "next_step_action"},
    SAME_STEP: {"final_obs", "final_obs_is_last", "final_info"},
    DISABLED: {"disabled"},
}
CLASSIC = {
    "CartPole-v1": {},
    "Pendulum-v1": {"max_episode_steps": 9},
    "MountainCarContinuous-v0": {"max_episode_steps": 9},
    "FrozenLake-v1": {},
}

in_1_4_0 = pytest.mark.skipif(gymnasium.__version__ != "1.4.0", reason="about Gymnasium 1.4.0")
modes = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)


def of_other_modes(mode: AutoresetMode) -> set[str]:
    return set().union(*(rules for other, rules in OWN_RULES.items() if other is not mode))


# Ours

#: An arm, one with a cube, a dog whose critic sees more than its policy, and two arms with a camera: the others by
#: `make test-slow`.
TELLING = (ENV_ID, "Genesis/FrankaPush-v0", "Genesis/Go2Velocity-v0", "Genesis/FrankaHandOver-v0")


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=() if each in TELLING else pytest.mark.slow) for each in ENVIRONMENTS],
)
def registered(request) -> Iterator[tuple[str, BatchedEnv]]:
    """An id and its environment, open for the three modes."""
    core = make_core(request.param, 8)
    core.max_episode_steps = 5
    yield request.param, core
    core.close()


@modes
def test_our_environments_keep_every_rule(registered, mode: AutoresetMode, monkeypatch) -> None:
    env_id, core = registered
    monkeypatch.setattr(vector, "divide", lambda *args, **kwargs: core)
    env = gymnasium.make_vec(env_id, num_envs=8, autoreset_mode=mode)
    report = check_vector_env(env, steps=13, promises=PROMISES)
    not_reached = {"batch_size_invariance", "close", "closed_raises"} | of_other_modes(mode)
    assert set(report.not_reached) == not_reached, str(report)


def test_our_environments_keep_the_rules_about_their_number_and_their_end() -> None:
    report = check_vector_env(
        lambda num_envs: gymnasium.make_vec(ENV_ID, num_envs=num_envs, max_episode_steps=5),
        steps=13,
        promises=PROMISES,
    )
    assert set(report.not_reached) == of_other_modes(NEXT_STEP), str(report)


# Gymnasium's


@modes
@pytest.mark.parametrize("env_id", CLASSIC)
def test_sync_vector_env_keeps_every_rule(env_id: str, mode: AutoresetMode) -> None:
    def make(num_envs: int) -> VectorEnv:
        return SyncVectorEnv([lambda: gymnasium.make(env_id, **CLASSIC[env_id])] * num_envs, autoreset_mode=mode)

    report = check_vector_env(make, steps=40, promises=set(PROMISES) - {"closed_raises"})
    assert set(report.not_reached) <= {"closed_raises", "info_masks"} | of_other_modes(mode), str(report)


@modes
def test_async_vector_env_keeps_every_rule(mode: AutoresetMode) -> None:
    def make(num_envs: int) -> VectorEnv:
        return AsyncVectorEnv([lambda: gymnasium.make("FrozenLake-v1")] * num_envs, autoreset_mode=mode)

    report = check_vector_env(make, steps=40, promises=PROMISES)
    assert set(report.not_reached) == of_other_modes(mode), str(report)


def test_vector_wrappers_keep_every_rule() -> None:
    def make(num_envs: int) -> VectorEnv:
        env = gymnasium.make_vec("Pendulum-v1", num_envs=num_envs, max_episode_steps=9)
        return gymnasium.wrappers.vector.RecordEpisodeStatistics(gymnasium.wrappers.vector.ClipReward(env, -1, 1))

    assert "info_masks" in check_vector_env(make, promises=["env_seeding", "reset_mask"]).checked


@in_1_4_0
def test_gymnasiums_own_cart_pole_forgets_that_it_is_closed() -> None:
    """Its `close` does not call that of `VectorEnv`, which sets `closed`."""

    def make(num_envs: int) -> VectorEnv:
        return gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")

    report = check_vector_env(make(3))
    unpromised = {"info_masks", "new_episode", "close", *PROMISES}
    assert set(report.not_reached) == unpromised | of_other_modes(NEXT_STEP), str(report)
    with pytest.raises(ContractError) as broken:
        check_vector_env(make)
    assert broken.value.rule == "close"


@in_1_4_0
def test_async_vector_env_without_shared_memory_forgets_a_reset() -> None:
    """Its worker clears its `autoreset` in the branch of shared memory only."""
    with pytest.raises(ContractError) as broken:
        check_vector_env(
            lambda n: AsyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * n, shared_memory=False)
        )
    assert broken.value.rule == "reset"


# Broken ones


class Walk(VectorEnv):
    """Points that walk in the plane: a whole vector environment, to be broken in one place at a time."""

    def __init__(self, num_envs: int = 3, mode: AutoresetMode = NEXT_STEP) -> None:
        self.num_envs = num_envs
        self.mode = mode
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space = Box(-9, 9, (2,), np.float32)
        self.single_action_space = Box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.randoms = [np.random.default_rng() for _ in range(num_envs)]
        self.position = np.zeros((num_envs, 2), np.float32)
        self.clock = np.zeros(num_envs, int)
        self.ended = np.zeros(num_envs, bool)

    def reset(self, *, seed=None, options=None):
        self.require_open()
        envs = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        seeds = [seed + env for env in range(self.num_envs)] if isinstance(seed, int) else seed
        for env, env_seed in enumerate(seeds or []):
            if env_seed is not None:
                self.randoms[env] = np.random.default_rng(env_seed)
        self.begin(envs)
        return self.observe(), self.infos(envs)

    def step(self, actions):
        self.require_open()
        waiting = self.ended if self.mode is NEXT_STEP else np.zeros_like(self.ended)
        self.move(actions)
        reward = 1.0 + np.abs(self.position).sum(1)
        terminated, truncated = np.abs(self.position).max(1) > 1.6, self.clock >= 6
        self.begin(waiting)
        reward[waiting], terminated[waiting], truncated[waiting] = 0, False, False
        self.ended = terminated | truncated
        infos = self.infos(np.ones(self.num_envs, bool))
        if self.mode is SAME_STEP and self.ended.any():
            infos.update(self.final())
            self.begin(self.ended)
        return self.observe(), reward, terminated, truncated, infos

    def begin(self, envs):
        for env in np.flatnonzero(envs):
            self.position[env] = self.randoms[env].uniform(-1, 1, 2)
        self.clock[envs] = 0
        self.ended = self.ended & ~envs

    def move(self, actions):
        self.position += 0.3 * actions
        self.clock += 1

    def observe(self):
        return self.position.copy()

    def infos(self, envs):
        return {"clock": self.clock.copy(), "_clock": envs.copy()}

    def final(self):
        final_obs = np.full(self.num_envs, None, object)
        for env in np.flatnonzero(self.ended):
            final_obs[env] = self.position[env].copy()
        ended = self.ended.copy()
        return {"final_obs": final_obs, "_final_obs": ended, "final_info": self.infos(ended), "_final_info": ended}

    def require_open(self):
        if self.closed:
            raise ClosedEnvironmentError("closed")


@modes
@pytest.mark.parametrize("envs", [1, 2, 5])
def test_the_environment_that_is_broken_below_keeps_every_rule(envs: int, mode: AutoresetMode) -> None:
    report = check_vector_env(lambda num_envs: Walk(num_envs, mode), num_envs=envs, steps=30, promises=PROMISES)
    one_env = {"reset_mask"} if envs == 1 and mode is not DISABLED else set()  # there, in the other size's run
    assert set(report.not_reached) == of_other_modes(mode) | one_env, str(report)
    assert set(report.checked) == RULES.keys() - set(report.not_reached)


class Filmed(Walk):
    """The same walk, which also shows a picture."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.single_observation_space = Dict(
            position=self.single_observation_space, picture=Box(0, 255, (6, 8, 3), np.uint8)
        )
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def observe(self):
        picture = np.zeros((self.num_envs, 6, 8, 3), np.uint8)
        picture[..., :2] = (20 * self.position[:, None, None] + 128).astype(np.uint8)
        return {"position": self.position.copy(), "picture": picture}

    def final(self):
        shown, final = self.observe(), super().final()
        for env in np.flatnonzero(self.ended):
            final["final_obs"][env] = {name: value[env].copy() for name, value in shown.items()}
        return final


class PictureOnly(Filmed):
    """A walk that shows nothing but a picture."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.single_observation_space = self.single_observation_space["picture"]
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def observe(self):
        return super().observe()["picture"]

    def final(self):
        final, pictures = Walk.final(self), self.observe()
        for env in np.flatnonzero(self.ended):
            final["final_obs"][env] = pictures[env].copy()
        return final


@modes
@pytest.mark.parametrize("kind", [Filmed, PictureOnly])
def test_pictures_and_groups_of_observations_keep_every_rule(kind: type[Walk], mode: AutoresetMode) -> None:
    report = check_vector_env(lambda num_envs: kind(num_envs, mode), steps=30, promises=PROMISES)
    assert set(report.not_reached) == of_other_modes(mode), str(report)


BROKEN: list = []


def breaks(rule: str, *modes: AutoresetMode):
    """Register an environment that breaks one rule, in these modes."""

    def register(cls: type[Walk]) -> type[Walk]:
        BROKEN.extend(pytest.param(rule, cls, mode, id=f"{cls.__name__}-{mode.name}") for mode in modes)
        return cls

    return register


class Changed(Walk):
    """Gives what `change` makes of each result of `step`."""

    def step(self, actions):
        return self.change(*super().step(actions))


@breaks("spaces", NEXT_STEP)
class NotBatched(Walk):
    def __init__(self, *args):
        super().__init__(*args)
        self.observation_space = self.single_observation_space


@breaks("spaces", NEXT_STEP)
class OtherActions(Walk):
    def __init__(self, *args):
        super().__init__(*args)
        self.action_space = Box(-2, 2, (self.num_envs, 2), np.float32)


@breaks("autoreset_mode", NEXT_STEP)
class ModeByName(Walk):
    def __init__(self, *args):
        super().__init__(*args)
        self.metadata = {"autoreset_mode": "NextStep"}


@breaks("returns", NEXT_STEP)
class FourResults(Changed):
    def change(self, observation, reward, terminated, truncated, infos):
        return observation, reward, terminated | truncated, infos


@breaks("returns", NEXT_STEP)
class ListOfInfos(Changed):
    def change(self, *result):
        return *result[:4], [{}] * self.num_envs


@breaks("observation_shape", NEXT_STEP)
class FlatObservation(Walk):
    def observe(self):
        return self.position.flatten()


@breaks("observation_shape", NEXT_STEP)
class OnePartOfTwo(Walk):
    def __init__(self, *args):
        super().__init__(*args)
        self.single_observation_space = Dict(x=Box(-9, 9, (), np.float32), y=Box(-9, 9, (), np.float32))
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def observe(self):
        return {"x": self.position[:, 0].copy()}


@breaks("observation_dtype", NEXT_STEP)
class PictureOfFloats(Filmed):
    def observe(self):
        shown = super().observe()
        return {**shown, "picture": shown["picture"].astype(np.float32)}


@breaks("results_kept", NEXT_STEP)
class OneBufferOfPictures(Filmed):
    def observe(self):
        shown = super().observe()
        self.buffer = getattr(self, "buffer", shown["picture"])
        self.buffer[:] = shown["picture"]
        return {**shown, "picture": self.buffer}


@breaks("final_obs", SAME_STEP)
class FinalPictureMissing(Filmed):
    def final(self):
        final = super().final()
        for env in np.flatnonzero(self.ended):
            del final["final_obs"][env]["picture"]
        return final


@breaks("final_obs", SAME_STEP)
class FinalObservationsNotByEnvironment(Filmed):
    def final(self):
        return {**super().final(), "final_obs": self.observe()}


@breaks("observation_dtype", NEXT_STEP)
class DoubleObservation(Walk):
    def observe(self):
        return self.position.astype(float)


@breaks("observation_contained", NEXT_STEP)
class FarAway(Walk):
    def observe(self):
        return self.position + np.float32(20)


@breaks("rewards", NEXT_STEP)
class RewardColumn(Changed):
    def change(self, observation, reward, *rest):
        return observation, reward[:, None], *rest


@breaks("rewards", NEXT_STEP)
class NotANumber(Changed):
    def change(self, observation, reward, *rest):
        return observation, reward * np.nan, *rest


@breaks("flags", NEXT_STEP)
class FloatFlags(Changed):
    def change(self, observation, reward, terminated, truncated, infos):
        return observation, reward, terminated, truncated.astype(float), infos


@breaks("info_masks", NEXT_STEP)
class InfoOfAll(Changed):
    def change(self, *result):
        return *result[:4], {"steps": 7}


@breaks("info_masks", NEXT_STEP)
class MaskOfNumbers(Walk):
    def infos(self, envs):
        return {"position": {"x": self.position[:, 0].copy(), "_x": envs.astype(int)}}


@breaks("results_kept", NEXT_STEP)
class OneBuffer(Walk):
    def observe(self):
        return self.position


@breaks("results_kept", NEXT_STEP)
class BuffersThatTakeTurns(Walk):
    def observe(self):
        self.buffers = [*getattr(self, "buffers", np.zeros((3, self.num_envs, 2), np.float32))]
        self.buffers.append(self.buffers.pop(0))
        self.buffers[-1][:] = self.position
        return self.buffers[-1]


@breaks("results_kept", NEXT_STEP)
class OneBufferOfInfos(Walk):
    def infos(self, envs):
        return {"clock": self.clock, "_clock": envs.copy()}


@breaks("actions_kept", NEXT_STEP)
class ScalesActions(Walk):
    def move(self, actions):
        actions *= 0.5
        super().move(actions)


@breaks("seed", NEXT_STEP)
class UnseededSteps(Walk):
    def move(self, actions):
        super().move(actions + np.random.default_rng().normal(size=actions.shape).astype(np.float32))


@breaks("seed", NEXT_STEP, SAME_STEP, DISABLED)
class SeedsTheFirstEpisodeOnly(Walk):
    def begin(self, envs):
        super().begin(envs)
        self.randoms = [np.random.default_rng() for _ in range(self.num_envs)]


@breaks("reset", NEXT_STEP)
class ResetThatLeavesEnvironmentsWaiting(Walk):
    def reset(self, **kwargs):
        ended = self.ended
        result = super().reset(**kwargs)
        self.ended = ended
        return result


@breaks("next_step", NEXT_STEP)
class RewardsTheReset(Changed):
    def change(self, observation, reward, *rest):
        return observation, np.maximum(reward, 0.5), *rest


@breaks("next_step", NEXT_STEP)
class EndsTwice(Changed):
    def change(self, observation, reward, terminated, truncated, infos):
        return observation, reward, terminated | (reward == 0), truncated, infos


@breaks("next_step_action", NEXT_STEP)
class StepsAfterTheReset(Walk):
    def move(self, actions):
        self.actions = actions
        super().move(actions)

    def step(self, actions):
        waiting = self.ended
        result = super().step(actions)
        self.position[waiting] += 0.3 * actions[waiting]
        return self.observe(), *result[1:]


@breaks("final_obs", SAME_STEP)
class NoFinalObservation(Walk):
    def final(self):
        return {key: value for key, value in super().final().items() if not key.endswith("final_obs")}


@breaks("final_obs", SAME_STEP)
class FinalObservationOfAll(Walk):
    def final(self):
        return {**super().final(), "_final_obs": np.ones(self.num_envs, bool)}


@breaks("final_obs", SAME_STEP)
class FinalObservationAlways(Walk):
    def infos(self, envs):
        return {"_final_obs": envs.copy()}


@breaks("final_obs", SAME_STEP)
class FinalObservationOutside(Walk):
    def final(self):
        return {**super().final(), "final_obs": np.full((self.num_envs, 2), 20, np.float32)}


@breaks("final_obs_is_last", SAME_STEP)
class FinalObservationOfTheNext(Changed):
    def change(self, observation, reward, terminated, truncated, infos):
        if "final_obs" in infos:
            infos["final_obs"] = observation.copy()
        return observation, reward, terminated, truncated, infos


@breaks("final_info", SAME_STEP)
class NoFinalInfo(Walk):
    def final(self):
        return {key: value for key, value in super().final().items() if not key.endswith("final_info")}


@breaks("disabled", DISABLED)
class ResetsItself(Changed):
    def change(self, observation, reward, terminated, truncated, infos):
        self.begin(terminated | truncated)
        return self.observe(), reward, terminated, truncated, infos


@breaks("reset_mask", NEXT_STEP, SAME_STEP, DISABLED)
class ResetsAll(Walk):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


@breaks("reset_mask", NEXT_STEP, SAME_STEP, DISABLED)
class ResetsTheClockOfAll(Walk):
    def begin(self, envs):
        super().begin(envs)
        if envs.any() and not envs.all() and not self.ended.any():
            self.clock[:] = 0


@breaks("reset_mask", NEXT_STEP, SAME_STEP, DISABLED)
class KnowsNoMask(Walk):
    def reset(self, *, seed=None, options=None):
        if options is not None:
            raise TypeError("no options")
        return super().reset(seed=seed)


@breaks("new_episode", NEXT_STEP, SAME_STEP)
class BeginsElsewhere(Walk):
    def step(self, actions):
        self.in_step = True
        result = super().step(actions)
        self.in_step = False
        return result

    def begin(self, envs):
        super().begin(envs)
        if getattr(self, "in_step", False):
            self.position[envs] = 0.5


@breaks("new_episode", SAME_STEP)
class LastAndFirstExchanged(Changed):
    def change(self, observation, reward, terminated, truncated, infos):
        for env in np.flatnonzero(terminated | truncated):
            first = observation[env].copy()
            observation[env] = infos["final_obs"][env]
            infos["final_obs"][env] = first
        return observation, reward, terminated, truncated, infos


@breaks("new_episode", DISABLED)
class BeginsElsewhereAfterAnEnd(Walk):
    def reset(self, *, seed=None, options=None):
        self.elsewhere = self.ended.any() and options is not None
        return super().reset(seed=seed, options=options)

    def begin(self, envs):
        super().begin(envs)
        if self.elsewhere:
            self.position[envs] = 0.5


@breaks("env_seeding", NEXT_STEP, SAME_STEP, DISABLED)
class EveryOtherSeed(Walk):
    def reset(self, *, seed=None, options=None):
        if isinstance(seed, int):
            seed = [seed + 2 * env for env in range(self.num_envs)]
        return super().reset(seed=seed, options=options)


@breaks("env_seeding", NEXT_STEP)
class OneSeed(Walk):
    def reset(self, *, seed=None, options=None):
        if isinstance(seed, list):
            raise TypeError("seed is a list")
        return super().reset(seed=seed, options=options)


@breaks("env_seeding", NEXT_STEP)
class NoneIsZero(Walk):
    def reset(self, *, seed=None, options=None):
        if isinstance(seed, list):
            seed = [env_seed or 0 for env_seed in seed]
        return super().reset(seed=seed, options=options)


@breaks("batch_size_invariance", NEXT_STEP, SAME_STEP, DISABLED)
class StepsByNumber(Walk):
    def move(self, actions):
        super().move(actions / self.num_envs)


@breaks("close", NEXT_STEP)
class ClosesOnce(Walk):
    def close(self, **kwargs):
        self.require_open()
        super().close()


@breaks("close", NEXT_STEP)
class NeverClosed(Walk):
    def close(self, **kwargs):
        pass


@breaks("closed_raises", NEXT_STEP)
class WorksWhenClosed(Walk):
    def require_open(self):
        pass


@breaks("closed_raises", NEXT_STEP)
class RaisesSomethingElse(Walk):
    def require_open(self):
        if self.closed:
            raise AttributeError("scene")


@pytest.mark.parametrize(("rule", "broken", "mode"), BROKEN)
def test_a_broken_rule_is_named(rule: str, broken: type[Walk], mode: AutoresetMode) -> None:
    with pytest.raises(ContractError, match=f"^{rule}: ") as error:
        check_vector_env(lambda num_envs: broken(num_envs, mode), steps=30, promises=PROMISES)
    assert error.value.rule == rule
    assert "\n" not in str(error.value)


def test_every_rule_is_broken_by_some_environment() -> None:
    assert {param.values[0] for param in BROKEN} == RULES.keys()


# Reports and arguments


@modes
def test_what_was_not_reached_is_told(mode: AutoresetMode) -> None:
    report = check_vector_env(Walk(3, mode), steps=2)
    assert set(report.checked).isdisjoint(report.not_reached)
    assert set(report.checked) | report.not_reached.keys() == RULES.keys()
    for rule in OWN_RULES[mode] | {"reset", "new_episode"}:
        assert "no episode ended before step 2" in report.not_reached[rule]
    assert report.not_reached["env_seeding"] == "not promised"
    assert "not reached  reset: no episode ended" in str(report)


def test_an_environment_given_stays_open() -> None:
    env = Walk(3)
    check_vector_env(env)
    assert not env.closed


def test_a_nondeterministic_environment_is_not_compared_with_itself() -> None:
    env = UnseededSteps(3)
    env.spec = gymnasium.envs.registration.EnvSpec("Walk-v0", entry_point="none", nondeterministic=True)
    assert "nondeterministic" in check_vector_env(env, promises=PROMISES).not_reached["seed"]


def test_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'env_seeding'"):
        check_vector_env(Walk, promises=["env_seedings"])
    with pytest.raises(ArgumentError, match="steps=0"):
        check_vector_env(Walk, steps=0)


class Pole(gymnasium.Wrapper):
    """A single environment that tells whether it was closed."""

    closed = False

    def __init__(self) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))

    def close(self) -> None:
        self.closed = True
        super().close()


def test_a_single_environment_is_refused_in_one_line() -> None:
    pole = Pole()
    with pytest.raises(ArgumentError, match=r"^make\(3\) returned a Pole, .* a single environment") as error:
        check_vector_env(lambda num_envs: pole)
    assert "\n" not in str(error.value)
    assert pole.closed, "what was made is closed"
    with pytest.raises(ArgumentError, match=r"make is a Pole, .* a single environment"):
        check_vector_env(Pole())
    with pytest.raises(ArgumentError, match="make is a str"):
        check_vector_env("CartPole-v1")
    with pytest.raises(ArgumentError, match="must take one argument"):
        check_vector_env(lambda: Walk())


def test_a_single_environment_made_later_is_refused_in_one_line() -> None:
    with pytest.raises(ArgumentError, match=r"^make\(1\) returned a Pole"):
        check_vector_env(lambda num_envs: Walk(3) if num_envs == 3 else Pole(), promises=PROMISES)


@pytest.mark.parametrize("always", [3, 4])
@pytest.mark.parametrize("promises", [[], ["batch_size_invariance"]])
def test_a_make_that_ignores_its_argument_is_one_line(always: int, promises: list[str]) -> None:
    """With three environments asked for and three made, only a second call shows it."""
    made = []

    def make(num_envs: int) -> VectorEnv:
        made.append(Walk(always))
        return made[-1]

    if always == 3 and not promises:
        check_vector_env(make)
        return
    asked = 1 if always == 3 else 3
    line = rf"^make\({asked}\) returned {always} environments; it must make as many as its argument says"
    with pytest.raises(ArgumentError, match=line):
        check_vector_env(make, promises=promises)
    assert all(env.closed for env in made)


def test_the_checker_needs_neither_genesis_nor_torch() -> None:
    script = "import sys, genesis_gym.testing; print({'genesis', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
