"""What differs between environments and episodes: randomisation, curriculum, commands and pushes."""

from genesis_gym.variation.commands import UniformCommand
from genesis_gym.variation.curriculum import Curriculum, CurriculumState
from genesis_gym.variation.pushes import RandomPush
from genesis_gym.variation.randomization import Randomization, check_ranges

__all__ = ["Curriculum", "CurriculumState", "RandomPush", "Randomization", "UniformCommand", "check_ranges"]
