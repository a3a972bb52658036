"""`python -m genesis_gym` is the `genesis-gym` command."""

import sys

from genesis_gym.cli.main import main

sys.exit(main())
