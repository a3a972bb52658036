"""A checker for any `gymnasium.vector.VectorEnv`: does it keep Gymnasium's contract?

Gymnasium has `gymnasium.utils.env_checker.check_env` for single environments and nothing for vectors of them. This
package needs numpy and Gymnasium alone. It runs the environment a few times with the same seed and compares the
runs; everything that it asks for is a rule in `RULES`.
"""

from genesis_gym.testing.checker import check_vector_env
from genesis_gym.testing.compare import TOLERANCE
from genesis_gym.testing.rules import PROMISES, RULES, ContractError, Report

__all__ = ["PROMISES", "RULES", "TOLERANCE", "ContractError", "Report", "check_vector_env"]
