"""How Genesis is started, patched and stopped. Nothing here knows of tasks or learners."""

from genesis_gym.runtime.backend import DEVICES, describe_device, start

__all__ = ["DEVICES", "describe_device", "start"]
