"""The training guide's demo script; the same as `genesis-gym demo`."""

import sys

from genesis_gym.cli.main import main

sys.exit(main(["demo", *sys.argv[1:]]))
