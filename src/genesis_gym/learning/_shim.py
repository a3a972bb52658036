"""Temporary: the API of the new core on top of the old one. Removed with the merge."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from genesis_gym.core import make as old_make
from genesis_gym.core.env import StepResult

GOALS = ("achieved_goal", "desired_goal")


def nested(flat):
    out: dict[str, Any] = {}
    for name, value in flat.items():
        node = out
        *parts, last = name.split("/")
        for part in parts:
            node = node.setdefault(part, {})
        node[last] = value
    return out


def flatten(tree, prefix=""):
    flat = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


class Shim:
    def __init__(self, old) -> None:
        self.__dict__["old"] = old
        self.__dict__["sums"] = None
        self.__dict__["_recorder"] = None

    def __getattr__(self, name):
        return getattr(self.__dict__["old"], name)

    def __setattr__(self, name, value):
        if name in ("sums", "_recorder"):
            self.__dict__[name] = value
        elif name == "recorder":
            self.__dict__["_recorder"] = value
            self.old.witness = value
        else:
            setattr(self.old, name, value)

    @property
    def recorder(self):
        return self._recorder

    @property
    def world(self):
        return self.old.simulation

    def _groups(self, obs):
        layout = self.old.observation_layout
        if GOALS[0] not in layout:
            return {"policy": obs}
        return {"observation": obs[:, : layout[GOALS[0]].start], **{n: obs[:, layout[n]] for n in GOALS}}

    @property
    def observation(self):
        return self._groups(self.old.observation)

    @property
    def observation_layout(self):
        layout = self.old.observation_layout
        if GOALS[0] not in layout:
            return {"policy": layout}
        return {
            "observation": {n: s for n, s in layout.items() if n not in GOALS},
            **{n: {n: slice(0, layout[n].stop - layout[n].start)} for n in GOALS},
        }

    def _more(self, metrics):
        if self.sums is None:
            self.sums = {
                n: torch.zeros(self.num_envs, device=self.device) for n in metrics if n.startswith("reward/")
            }
        return {**metrics, **{n.replace("reward/", "reward_sum/"): v.clone() for n, v in self.sums.items()}}

    def reset(self, envs=None, *, seed=None):
        obs, metrics = self.old.reset(envs, seed=seed)
        self._more(metrics)
        mask = torch.ones(self.num_envs, dtype=torch.bool) if envs is None else envs
        self.sums = {n: torch.where(mask, 0.0, v) for n, v in self.sums.items()}
        no = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        metrics = self._more(metrics)
        return self._groups(obs), {
            **metrics,
            **{f"end/{r}": no for r in ("success", "fail", "time_limit", "fault")},
        }

    def step(self, action):
        r = self.old.step(action)
        self.sums = {n: v + r.metrics[n] for n, v in self.sums.items()}
        m = self._more(r.metrics)
        m["end/success"] = r.terminated & m["is_success"]
        m["end/fail"] = r.terminated & ~m["is_success"]
        m["end/fault"] = r.truncated & m["fault"]
        m["end/time_limit"] = r.truncated & ~m["fault"]
        return StepResult(self._groups(r.observation), r.reward, r.terminated, r.truncated, m)

    def state_dict(self):
        if self.sums is None:
            self.reset()
        return {**nested(self.old.state()), "sums": {n.replace("/", "_"): v for n, v in self.sums.items()}}

    def load_state_dict(self, state):
        if self.sums is None:
            self.reset(seed=0)
        state = dict(state)
        sums = state.pop("sums", {})
        self.old.restore(flatten(state))
        self.sums = {n: sums[n.replace("/", "_")] for n in self.sums}

    @contextlib.contextmanager
    def evaluation_mode(self):
        if self.sums is None:
            self.reset()
        sums = self.sums
        with self.old.lent():
            yield
        self.sums = sums

    def randomize_episode_length(self):
        self.old.stagger_episodes()


def make_core(env_id, num_envs, *, device="auto", camera_envs=(), **kwargs):
    return Shim(old_make.make_core(env_id, num_envs, backend=device, camera_rows=camera_envs, **kwargs))
