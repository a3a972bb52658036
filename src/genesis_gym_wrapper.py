"""The module name under which the training guide imports `GenesisGymWrapper`."""

from genesis_gym.adapters.single import GenesisGymWrapper, ReachingEnv

__all__ = ["GenesisGymWrapper", "ReachingEnv"]
