"""Videos of a policy: a tile for each environment, with its clock and how its episode ended."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av  # noqa: F401  # imageio would not miss it before the first frame
import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from genesis_gym.core import BatchedEnv
from genesis_gym.errors import ArgumentError, check_positive_int
from genesis_gym.learning.agents.load import open_run
from genesis_gym.learning.agents.policy import Act
from genesis_gym.learning.console import status
from genesis_gym.learning.evaluation.play import (
    FIRST_STATE_SECONDS,
    LAST_STATE_SECONDS,
    Episode,
    Moment,
    narrated,
    play,
)
from genesis_gym.learning.runs.folder import locate, read_config, write_whole
from genesis_gym.world.world import CAMERA_RESOLUTION

#: Frames in a second of video. A frame is one control step, so that 50 Hz control is seen at half its speed.
FRAME_RATE = 25

#: Tiles in a frame unless another number is asked for.
MAX_TILES = 9

Colour = tuple[int, ...]

BACKGROUND: Colour = (13, 17, 23)
BAND: Colour = (13, 17, 23, 150)
TEXT: Colour = (240, 246, 252)
GREEN: Colour = (35, 134, 54)
RED: Colour = (200, 45, 45)

#: Pixels between two tiles; even.
GAP = 6


class Layout(NamedTuple):
    """Tiles in a grid above a caption. All lengths are in pixels and even, as h264 wants them.

    Attributes:
        columns: Tiles side by side.
        tile: Width and height of a tile.
        size: Width and height of a frame.
    """

    columns: int
    tile: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, tiles: int, max_width: int) -> Layout:
        """The squarest grid for some tiles, as wide as the camera's pictures but at most `max_width`."""
        columns = math.ceil(math.sqrt(tiles))
        lines = math.ceil(tiles / columns)
        camera_width, camera_height = CAMERA_RESOLUTION
        width = min(camera_width, max_width // columns - GAP) // 2 * 2
        height = width * camera_height // camera_width // 2 * 2
        return cls(
            columns,
            (width, height),
            (columns * (width + GAP) - GAP, lines * (height + GAP) + height // 20 * 2),
        )

    def place(self, number: int) -> tuple[int, int]:
        """Left upper corner of a tile."""
        width, height = self.tile
        return number % self.columns * (width + GAP), number // self.columns * (height + GAP)

    @property
    def caption(self) -> tuple[int, int, int, int]:
        """Box of the caption."""
        width, height = self.size
        return 0, height - self.tile[1] // 20 * 2, width, height


class Format(NamedTuple):
    """A kind of video file.

    Attributes:
        write: Writes a file from its frames, RGB images of one size.
        max_width: Width that a frame is kept to, pixels.
    """

    write: Callable[[Path, Iterator[Image.Image]], None]
    max_width: int


def record_video(
    env: BatchedEnv,
    act: Act,
    path: Path,
    episodes: int,
    seed: int,
    *,
    envs: int | None = None,
    console: Console | None = None,
) -> list[Episode]:
    """Film episodes side by side, each with its true last state, which is shown until the round is over.

    Args:
        env: An environment made with a camera; its episodes in progress are lost.
        act: The policy.
        path: The MP4 or GIF to write, whole or not at all.
        episodes: How many episodes, at least 1.
        seed: Seed of the first; the others follow as in an evaluation.
        envs: Episodes side by side; None for as many as there are, up to `MAX_TILES`.
        console: Where progress is shown, if anywhere.

    Returns:
        The episodes, in the order in which they ended.

    Raises:
        ArgumentError: `episodes` or `envs` is not allowed, or the environment's episodes have no end.
    """
    envs = envs or min(episodes, env.num_envs, MAX_TILES)
    moments = play(env, act, episodes, seed, envs)
    if console is not None:
        moments = narrated(moments, env, episodes, console)
    file_format = FORMATS[path.suffix]
    layout = Layout.of(envs, file_format.max_width)
    ended: list[Episode] = []

    def frames() -> Iterator[Image.Image]:
        frame = Image.new("RGB", layout.size, BACKGROUND)
        pictures: dict[int, NDArray[np.uint8]] = {}
        for moment in moments:
            # A faulty state may be impossible to draw; the last good picture stays.
            sound = [number for number in moment.live if moment.episodes[number].outcome != "fault"]
            pictures.update(zip(sound, env.render(sound), strict=True) if sound else ())
            for number in moment.live:
                tile = _tile(pictures[number], layout.tile, moment.episodes[number], env.control_dt)
                frame.paste(tile, layout.place(number))
            ended.extend(moment.ended)
            _write(frame, layout.caption, BACKGROUND, *_caption(moment, ended, episodes, env.control_dt))
            seconds = FIRST_STATE_SECONDS * (moment.step == 0) + LAST_STATE_SECONDS * moment.last
            yield from [frame.copy()] * (1 + round(seconds * FRAME_RATE))

    write_whole(path, lambda file: file_format.write(file, frames()))
    return ended


def record_run(
    run: Path,
    path: Path,
    episodes: int,
    seed: int,
    envs: int,
    console: Console,
    device: str = "auto",
    *,
    best: bool = False,
    trust: bool = False,
) -> list[Episode]:
    """Film the policy of a run folder in a scene of its own.

    Args:
        run: The run folder, or with `trust` an archive of SB3 in it.
        path: The MP4 or GIF to write; it must not exist.
        episodes: How many episodes, at least 1.
        seed: Seed of the first.
        envs: Episodes side by side, at least 1.
        console: Where progress is shown.
        device: `"auto"`, `"cpu"` or `"gpu"`.
        best: Take the best policy of the evaluations during training instead of the last.
        trust: Unpickle an archive, which runs any code that it holds.

    Returns:
        The episodes, in the order in which they ended.

    Raises:
        RunFolderError: It is no run folder, or its files cannot be read.
        ArgumentError: An argument is not allowed; nothing was built then.
    """
    check_positive_int("envs", envs)
    check_positive_int("episodes", episodes)
    envs = min(envs, episodes)
    env_id = read_config(locate(run, trust=trust)[0]).env
    _check_path(path)
    with status(console, f"Building {envs} environments of {env_id}"):
        _, env, act = open_run(run, envs, device=device, camera_envs=range(envs), best=best, trust=trust)
    try:
        return record_video(env, act, path, episodes, seed, envs=envs, console=console)
    finally:
        env.close()


def _check_path(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise ArgumentError(f"--out {path} is not allowed; its suffix must be {' or '.join(FORMATS)}")
    if path.exists() or path.is_symlink():
        raise ArgumentError(f"--out {path} exists already; name a file that does not exist")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise ArgumentError(f"--out {path} cannot be written: {path.parent} is no folder that can be written to")


def _caption(moment: Moment, ended: list[Episode], episodes: int, control_dt: float) -> tuple[str, str]:
    """The texts below the tiles, left and right."""
    first, last = moment.episodes[0].number, moment.episodes[-1].number
    shown = f"episode {first}" if first == last else f"episodes {first} to {last}"
    speed = FRAME_RATE * control_dt
    pace = "real time" if speed == 1 else f"{speed:g} x real time"
    successes = sum(episode.outcome == "success" for episode in ended)
    score = f"{successes} of {episodes} succeeded" if len(ended) == episodes else f"{successes} succeeded"
    return f"{shown} of {episodes}, {pace}", score


def _tile(picture: NDArray[np.uint8], size: tuple[int, int], episode: Episode, control_dt: float) -> Image.Image:
    """A picture under a band with number, clock and outcome; the outcome colours band and border."""
    tile = Image.fromarray(picture)
    if tile.size != size:
        tile = tile.resize(size, Image.Resampling.LANCZOS)
    clock = f"{episode.steps * control_dt:.2f} s"
    band = (0, 0, tile.width, max(20, tile.height // 13))
    if episode.outcome is None:
        _write(tile, band, BAND, f"episode {episode.number}", clock)
    else:
        colour = GREEN if episode.outcome == "success" else RED
        border = (0, 0, tile.width - 1, tile.height - 1)
        ImageDraw.Draw(tile).rectangle(border, outline=colour, width=max(3, tile.width // 120))
        _write(tile, band, colour, f"episode {episode.number}", f"{episode.outcome}   {clock}")
    return tile


def _write(image: Image.Image, box: tuple[int, int, int, int], colour: Colour, left: str, right: str) -> None:
    """Fill a box and write two texts into it, at its left and right end."""
    x0, y0, x1, y1 = box
    height = y1 - y0
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
    font = ImageFont.load_default(height * 0.6)
    draw.text((x0 + height // 3, y0 + height / 2), left, TEXT, font, anchor="lm")
    draw.text((x1 - height // 3, y0 + height / 2), right, TEXT, font, anchor="rm")


def _write_mp4(path: Path, frames: Iterator[Image.Image]) -> None:
    with iio.imopen(path, "w", plugin="pyav") as video:
        video.init_video_stream("h264", fps=FRAME_RATE)
        for frame in frames:
            video.write_frame(np.asarray(frame))


def _write_gif(path: Path, frames: Iterator[Image.Image]) -> None:
    """Write a GIF with one palette for all frames, so that a static background takes no space."""
    first = next(frames)
    sample = first.copy()
    for i, colour in enumerate((GREEN, RED)):  # seen only when episodes end
        sample.paste(colour, (0, i * GAP, first.width, (i + 1) * GAP))
    palette = sample.quantize(method=Image.Quantize.FASTOCTREE)

    def reduced(frame: Image.Image) -> Image.Image:
        return frame.quantize(palette=palette, dither=Image.Dither.NONE)

    options: dict[str, Any] = {"save_all": True, "duration": 1000 // FRAME_RATE, "loop": 0}
    reduced(first).save(path, append_images=map(reduced, frames), **options)


#: Suffix → how such a file is written.
FORMATS = {".mp4": Format(_write_mp4, 1920), ".gif": Format(_write_gif, 900)}
