"""How Genesis is started, stepped and put away. Nothing here knows of tasks or learners."""

from genesis_gym.runtime.backend import BACKENDS, describe_device, start
from genesis_gym.runtime.random import RowRandom
from genesis_gym.runtime.simulation import Simulation

__all__ = ["BACKENDS", "RowRandom", "Simulation", "describe_device", "start"]
