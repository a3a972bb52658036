"""The training guide's demo: `python single_env_rl_demo.py` is `genesis-gym demo`."""

import sys

from genesis_gym.cli.main import main

sys.exit(main(["demo", *sys.argv[1:]]))
