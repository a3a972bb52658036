"""The training guide's script: train and evaluate reaching, by the commands `genesis-gym train` and `evaluate`.

python rl_training_example.py --train --algorithm PPO|SAC|TD3
python rl_training_example.py --evaluate --algorithm PPO|SAC|TD3    (the newest run of that algorithm)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from genesis_gym.cli.main import main


def parse() -> argparse.Namespace:
    """Read the guide's own options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--train", action="store_true", help="train an agent into runs/")
    action.add_argument("--evaluate", action="store_true", help="evaluate the newest run of the algorithm")
    parser.add_argument("--algorithm", default="PPO", type=str.upper, choices=("PPO", "SAC", "TD3"))
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--timesteps", default=None, type=int, help="default: the preset's")
    return parser.parse_args()


def newest_run(algorithm: str) -> Path:
    """Find the newest finished run of an algorithm on the reach task."""
    runs = sorted(Path("runs").glob(f"frankareach-v0-{algorithm.lower()}-*/policy.safetensors"))
    if not runs:
        sys.exit(f"no finished {algorithm} run in runs/: train one first with --train --algorithm {algorithm}")
    return runs[-1].parent


options = parse()
if options.train:
    words = ["train", "--algorithm", options.algorithm, "--seed", str(options.seed)]
    words += [] if options.timesteps is None else ["--timesteps", str(options.timesteps)]
else:
    words = ["evaluate", str(newest_run(options.algorithm))]
sys.exit(main(words))
