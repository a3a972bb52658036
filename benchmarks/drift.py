"""How far results drift apart where Genesis does not give the same bits.

Everything makes the same motions from the same states; each row of the table changes one thing about the scene or
about Genesis, in a process of its own. Two motions: the arm moving freely, and the hand pressing on the ground,
sweeping about, with a cube in its way. Contact is chaotic: what differs in the last bit differs visibly later.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import torch

from genesis_gym import BatchedEnv
from genesis_gym.runtime import DEVICES, describe_device

STEPS = 1000
EPISODES = 3

#: Motion → the task whose scene it is made in.
MOTIONS = {"free": "reach", "contact": "push"}

#: What is changed → what `roll_out` is told, and the environment variables of its process.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nothing (another process)": ({}, {}),
    "a camera and a marker": ({"camera": True}, {}),
    "environments that may differ in masses and gains": ({"varied": True}, {}),
    "64 environments instead of 2": ({"num_envs": 64}, {}),
    "2 threads": ({}, {"GS_PARA_LEVEL": "2", "QD_NUM_THREADS": "2"}),
}


def roll_out(
    task: str, device: str, num_envs: int = 2, camera: bool = False, varied: bool = False
) -> torch.Tensor:
    """States of environment 0, joint positions (rad) and that of the cube (m), `(EPISODES, STEPS, n)`."""
    env = BatchedEnv(
        task,
        num_envs=num_envs,
        device=device,
        control_mode="joint_delta",
        decimation=2,
        max_episode_steps=STEPS + 1,
        camera_envs=[0] if camera else [],
        randomization={"kp_scale": (1.0, 1.0)} if varied else {},
    )
    generator = torch.Generator().manual_seed(0)
    episodes = []
    for _ in range(EPISODES):
        actions = torch.rand(STEPS, 7, generator=generator) * 2 - 1
        if task == "push":
            actions[:, 1], actions[:, 3] = 0.8, -0.2  # down on the ground
        env.reset(seed=5) if not episodes else env.reset()
        states = []
        for action in actions.to(env.device):
            env.step(action.expand(num_envs, 7))
            cube = [env.task.cube.position[0]] if task == "push" else []
            states.append(torch.cat([env.task.arm.joint_position[0], *cube]).double().cpu())
        episodes.append(torch.stack(states))
    print(describe_device(), file=sys.stderr)
    env.close()
    return torch.stack(episodes)


def roll_out_elsewhere(device: str, settings: dict[str, Any], variables: dict[str, str]) -> dict[str, np.ndarray]:
    """Both motions in a process of its own, name → what `roll_out` gives."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        command = [sys.executable, __file__, "--device", device, "--settings", json.dumps(settings)]
        subprocess.run([*command, "--out", file.name], env={**os.environ, **variables}, check=True)
        return dict(np.load(file.name))


def describe(difference: np.ndarray) -> str:
    """Cells of the table: first steps above two bounds, largest difference up to two steps, over all episodes."""
    largest = difference.max(axis=(0, 2))

    def first_above(bound: float) -> str:
        above = np.flatnonzero(largest > bound)
        return str(above[0] + 1) if len(above) else "never"

    if not largest.any():
        return "never | never | 0 | 0"
    cells = [first_above(1e-6), first_above(1e-3), *(f"{largest[:n].max():.1e}" for n in (200, STEPS))]
    return " | ".join(cells)


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--settings", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.out:
        tasks = MOTIONS.items()
        states = {name: roll_out(task, arguments.device, **arguments.settings) for name, task in tasks}
        np.savez(arguments.out, **{name: value.numpy() for name, value in states.items()})
        return
    reference = roll_out_elsewhere(arguments.device, {}, {})
    print("| changed | motion | > 1e-6 at step | > 1e-3 at step | largest in 200 | largest in 1,000 |")
    print("|---|---|---|---|---|---|")
    for changed, (settings, variables) in VARIANTS.items():
        states = roll_out_elsewhere(arguments.device, settings, variables)
        for motion in MOTIONS:
            difference = np.abs(states[motion] - reference[motion])
            print(f"| {changed} | {motion} | {describe(difference)} |", flush=True)


if __name__ == "__main__":
    main()
