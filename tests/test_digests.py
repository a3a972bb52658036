"""Environments give the very numbers that they gave before the package was rebuilt: tests/data/digests.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from record_digests import digest

DIGESTS: dict[str, str] = json.loads((Path(__file__).parent / "data" / "digests.json").read_text())

#: Of robots, tasks and control modes that differ most; the others are compared by `make test-slow`.
TELLING = {
    "Genesis/FrankaReach-v0 joint_delta",
    "Genesis/FrankaLiftCube-v0 ee_delta_position",
    "Genesis/UR5eMotor-v0 joint_position",
    "Genesis/KukaReach-v0 ee_delta_pose",
    "Genesis/FrankaStackCube-v0 joint_torque",
}


def parameter(key: str) -> Any:
    return pytest.param(key, id=key.replace(" ", "-"), marks=() if key in TELLING else pytest.mark.slow)


def test_the_telling_ones_are_recorded() -> None:
    assert set(DIGESTS) >= TELLING


@pytest.mark.parametrize("key", [parameter(key) for key in DIGESTS])
def test_no_bit_has_changed(key: str) -> None:
    assert digest(*key.split()) == DIGESTS[key]
