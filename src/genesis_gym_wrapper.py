"""The module that the training guide imports from."""

from genesis_gym.adapters.single import GenesisGymWrapper

__all__ = ["GenesisGymWrapper"]
