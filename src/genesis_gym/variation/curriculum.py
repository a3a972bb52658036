"""Settings of a curriculum: each environment's task grows harder as that environment succeeds."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Curriculum(BaseModel):
    """When an environment's difficulty grows. A difficulty of 1 is the task as it is declared.

    Attributes:
        initial: Difficulty at first, 0 to 1.
        step: What a promotion adds.
        threshold: Share of successes at which an environment is promoted; None leaves it to
            `increase_difficulty()`.
        window: Episodes of an environment after which its share of successes is judged, and counted anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    initial: Share = 0.1
    step: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    threshold: Annotated[float, Field(gt=0.0, le=1.0)] | None = 0.75
    window: Annotated[int, Field(ge=1, le=1_000_000)] = 4
