"""Watching a policy: what is shown is what happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from rich.console import Console

from genesis_gym import BatchedEnv
from genesis_gym.cli import play as cli_play
from genesis_gym.cli.main import main
from genesis_gym.errors import ArgumentError
from genesis_gym.learning.agents.make import make_policy
from genesis_gym.learning.agents.policy import save_policy
from genesis_gym.learning.config.seeds import EVALUATION_SEED
from genesis_gym.learning.config.train_config import make_config
from genesis_gym.learning.evaluation import play as play_module
from genesis_gym.learning.evaluation.evaluate import evaluate_policy
from genesis_gym.learning.evaluation.play import Episode, play
from genesis_gym.learning.report import video
from genesis_gym.learning.report.video import GREEN, RED, Layout, record_video
from genesis_gym.learning.runs.folder import CONFIG_FILE, POLICY_FILE, write_json
from genesis_gym.tasks.reach.reach import Reach
from genesis_gym.tasks.task import Evaluation
from genesis_gym.world import World

STEPS = 6
TASK = Reach(tolerance=0.2)

#: How the episodes of seeds 0 to 3 end under `elbow`: early, never, at once, and as the clock runs out.
EXPECTED = [
    Episode(1, 3, "success"),
    Episode(2, 6, "time out"),
    Episode(3, 1, "success"),
    Episode(4, 6, "success"),
]


def reach(make_core) -> BatchedEnv:
    return make_core(4, task=TASK, max_episode_steps=STEPS, camera_envs=(0, 1, 2, 3))


@pytest.fixture
def env(make_core) -> BatchedEnv:
    return reach(make_core)


def elbow(observation: dict[str, torch.Tensor]) -> torch.Tensor:
    """Move the elbow at full speed, which brings some tools within the wide tolerance."""
    action = torch.zeros(len(observation["policy"]), 7)
    action[:, 3] = -1.0
    return action


def breaks_row_1() -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    """`elbow`, but row 1 has a NaN in its third action."""
    calls = 0

    def act(observation: dict[str, torch.Tensor]) -> torch.Tensor:
        nonlocal calls
        calls += 1
        action = elbow(observation)
        if calls == 3:
            action[1, 0] = torch.nan
        return action

    return act


def film(env: BatchedEnv, act, episodes: int, rows: int) -> tuple[list[Episode], list[np.ndarray]]:
    """Record into memory: the episodes, and the frames as they are before any encoding."""
    frames: list[np.ndarray] = []

    def keep(path: Path, images) -> None:
        frames.extend(np.asarray(image) for image in images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(video.FORMATS, ".mp4", video.Format(keep, 1920))
        patch.setattr(video, "write_whole", lambda path, write: write(path))
        return record_video(env, act, Path("none.mp4"), episodes, 0, envs=rows), frames


@pytest.fixture(scope="module")
def filmed(make_core) -> tuple[list[Episode], list[np.ndarray], list[int]]:
    """The four episodes side by side: how they ended, the frames, and the rows that were drawn."""
    env = reach(make_core)
    drawn: list[int] = []
    render = env.render
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(env, "render", lambda envs: drawn.extend(envs) or render(envs))
        return *film(env, elbow, 4, 4), drawn


def moments(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Frames by step, without those for which the first state stands still."""
    return frames[round(video.FIRST_STATE_SECONDS * video.FRAME_RATE) :]


def tile(frame: np.ndarray, row: int, tiles: int = 4) -> np.ndarray:
    layout = Layout.of(tiles, 1920)
    (x, y), (width, height) = layout.place(row), layout.tile
    return frame[y : y + height, x : x + width]


def inside(picture: np.ndarray) -> np.ndarray:
    """What neither band nor border covers."""
    return picture[40:-10, 10:-10]


def render_after(env: BatchedEnv, row: int, steps: int) -> np.ndarray:
    """The picture of a row's state after some steps of `elbow` from seed 0."""
    observation, _ = env.reset(seed=0)
    for _ in range(steps):
        observation = env.step(elbow(observation)).observation
    return env.render([row])[0]


# Playing


def test_outcomes_are_those_of_the_evaluation(env) -> None:
    """Whatever the number of rows: one for each episode, and whether they end at the same time or not."""
    evaluation = evaluate_policy(env, elbow, 4, seed=0)
    for rows in (4, 3, 1):
        ended = [episode for moment in play(env, elbow, 4, 0, rows) for episode in moment.ended]
        assert sorted(ended) == EXPECTED
        assert sum(episode.outcome == "success" for episode in ended) == 4 * evaluation.success_rate
        assert sum(episode.steps for episode in ended) == 4 * evaluation.mean_episode_length


def test_a_fault_is_told_from_a_time_out(env) -> None:
    *_, moment = play(env, breaks_row_1(), 4, 0, 4)
    assert moment.episodes == [EXPECTED[0], Episode(2, 3, "fault"), *EXPECTED[2:]]


def test_a_failure_is_told_from_a_success(env, monkeypatch) -> None:
    evaluate = env.task.evaluate

    def failing() -> Evaluation:
        evaluation = evaluate()
        ends = {"success": torch.zeros(4, dtype=torch.bool), "fall": evaluation.terminated["success"]}
        return Evaluation(terminated=ends, metrics=evaluation.metrics)

    monkeypatch.setattr(env.task, "evaluate", failing)
    *_, moment = play(env, elbow, 4, 0, 4)
    assert [episode.outcome for episode in moment.episodes] == ["failure", "time out", "failure", "failure"]


@pytest.mark.parametrize(("episodes", "rows", "named"), [(0, 1, "episodes=0"), (1, 0, "envs=0"), (9, 9, "envs=9")])
def test_wrong_numbers_are_named(env, episodes: int, rows: int, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        next(play(env, elbow, episodes, 0, rows))


def test_an_episode_without_end_is_refused(env, monkeypatch) -> None:
    monkeypatch.setattr(env, "max_episode_steps", None)
    with pytest.raises(ArgumentError, match="max_episode_steps must be a number"):
        next(play(env, elbow, 1, 0, 1))


# Drawing


def test_any_rows_can_be_drawn(env) -> None:
    env.reset(seed=0)
    every = env.render()
    assert every.shape == (4, 360, 480, 3)
    assert (env.render([2, 0]) == every[[2, 0]]).all()
    assert (every[0] != every[2]).any(), "their targets differ"
    for number in (-1, 4):
        with pytest.raises(ArgumentError, match=f"{number} is not allowed"):
            env.render([number])


def test_the_last_picture_is_the_terminal_state_and_stands(env, filmed) -> None:
    ended, frames, _ = filmed
    assert sorted(ended) == EXPECTED
    for row, episode in enumerate(EXPECTED):
        terminal = render_after(env, row, episode.steps)
        before = render_after(env, row, episode.steps - 1)
        assert (inside(terminal) != inside(before)).any()
        assert (inside(tile(moments(frames)[episode.steps - 1], row)) == inside(before)).all()
        for frame in moments(frames)[episode.steps :]:
            assert (inside(tile(frame, row)) == inside(terminal)).all()
            assert (tile(frame, row) == tile(frames[-1], row)).all(), "the clock stands, too"


def test_ended_rows_are_not_drawn_again(filmed) -> None:
    _, _, drawn = filmed
    assert [drawn.count(row) for row in range(4)] == [episode.steps + 1 for episode in EXPECTED]


def test_the_outcome_colours_a_tile_when_it_is_known(filmed) -> None:
    _, frames, _ = filmed
    for row, episode in enumerate(EXPECTED):
        colour = GREEN if episode.outcome == "success" else RED
        for step, frame in enumerate(moments(frames)):
            assert (tuple(tile(frame, row)[-1, 0]) == colour) == (step >= episode.steps)
            assert ((tile(frame, row)[:27] == colour).all(-1).mean() > 0.5) == (step >= episode.steps)


def test_a_faulty_row_keeps_its_last_good_picture(env) -> None:
    _, frames = film(env, breaks_row_1(), 4, 4)
    assert (inside(tile(frames[-1], 1)) == inside(tile(moments(frames)[2], 1))).all()
    assert tuple(tile(frames[-1], 1)[-1, 0]) == RED


def test_more_episodes_than_rows_play_in_rounds(env) -> None:
    ended, frames = film(env, elbow, 3, 2)
    assert sorted(ended) == EXPECTED[:3]
    holds = round(video.FIRST_STATE_SECONDS * video.FRAME_RATE) + round(
        video.LAST_STATE_SECONDS * video.FRAME_RATE
    )
    assert len(frames) == (1 + 6 + holds) + (1 + 1 + holds)
    assert all(frame.shape == frames[0].shape for frame in frames)
    assert (tile(frames[-1], 1, tiles=2) == tile(frames[7 + holds - 1], 1, tiles=2)).all()


@pytest.mark.parametrize("max_width", [1920, 900])
def test_frames_are_even_and_not_too_wide(max_width: int) -> None:
    for tiles in range(1, 40):
        layout = Layout.of(tiles, max_width)
        assert not any(length % 2 for length in (*layout.size, *layout.tile))
        assert layout.size[0] <= max_width
        x, y = layout.place(tiles - 1)
        assert x + layout.tile[0] <= layout.size[0] and y + layout.tile[1] <= layout.caption[1]


@pytest.mark.parametrize(("suffix", "plugin"), [(".mp4", "pyav"), (".gif", "pillow")])
def test_files_can_be_read_back(env, tmp_path, suffix: str, plugin: str) -> None:
    path = tmp_path / f"video{suffix}"
    assert record_video(env, elbow, path, 1, 0) == EXPECTED[:1]
    assert list(tmp_path.iterdir()) == [path]
    frames = iio.imread(path, plugin=plugin)
    width, height = Layout.of(1, video.FORMATS[suffix].max_width).size
    assert frames.shape[1:] == (height, width, 3)
    assert np.abs(frames[-1][3, 200].astype(int) - GREEN).max() < 40
    assert np.abs(frames[0][3, 200].astype(int) - GREEN).max() > 40
    if suffix == ".mp4":
        seconds = video.FIRST_STATE_SECONDS + video.LAST_STATE_SECONDS + 4 / video.FRAME_RATE
        assert len(frames) == pytest.approx(seconds * video.FRAME_RATE, abs=1)
        assert iio.immeta(path, plugin="pyav")["video_format"] == "yuv420p", "what every player plays"


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_nothing_is_left_of_a_failed_recording(env, tmp_path, suffix: str) -> None:
    calls: list[None] = []

    def fails(observation: dict[str, torch.Tensor]) -> torch.Tensor:
        calls.append(None)
        if len(calls) == 2:
            assert list(tmp_path.iterdir()) != [] or suffix == ".gif", "writing has begun"
            raise ArithmeticError
        return elbow(observation)

    with pytest.raises(ArithmeticError):
        record_video(env, fails, tmp_path / f"video{suffix}", 1, 0)
    assert len(calls) == 2 and list(tmp_path.iterdir()) == []


# The viewer, of which a machine without display can test only how it ends


def test_closing_the_window_ends_quietly(env) -> None:
    import genesis as gs

    def simulation(open_window: bool) -> SimpleNamespace:
        return SimpleNamespace(scene=SimpleNamespace(viewer=SimpleNamespace(is_alive=lambda: open_window)))

    with World.until_viewer_closes(simulation(open_window=False)):
        raise gs.GenesisException("Viewer closed.")
    with pytest.raises(gs.GenesisException), World.until_viewer_closes(simulation(open_window=True)):
        raise gs.GenesisException("something else")


def test_interrupting_the_viewer_gives_what_was_played(env, monkeypatch) -> None:
    calls: list[None] = []

    def interrupted(observation: dict[str, torch.Tensor]) -> torch.Tensor:
        calls.append(None)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return elbow(observation)

    closed: list[bool] = []
    monkeypatch.setattr(play_module, "read_config", lambda folder: SimpleNamespace(env="reach"))
    monkeypatch.setattr(play_module, "open_run", lambda *_, **__: (None, env, interrupted))
    monkeypatch.setattr(play_module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(env, "close", lambda: closed.append(True))
    played = play_module.watch_run(Path("run"), 4, 0, Console(quiet=True))
    assert played == EXPECTED[:3] and closed == [True]


# The command


@pytest.fixture(scope="module")
def run_folder(make_core, tmp_path_factory) -> Path:
    """A run of an untrained policy, in episodes of a few steps."""
    if "Test/ShortReach-v0" not in gymnasium.registry:
        gymnasium.register(
            "Test/ShortReach-v0",
            entry_point="genesis_gym.adapters.single:make_single",
            max_episode_steps=2,
            kwargs={"task": TASK},
        )
    folder = tmp_path_factory.mktemp("run")
    config = make_config("Test/ShortReach-v0", num_envs=4, hyperparameters={"batch_size": 64})
    write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))
    save_policy(make_policy(config, reach(make_core)), folder / POLICY_FILE)
    return folder


def test_play_films_where_there_is_no_display(run_folder, monkeypatch, capsys) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["play", str(run_folder), "--envs", "2", "--episodes", "3"]) == 0
    out, err = capsys.readouterr()
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["episodes"] == "3" and lines["file"] == str(run_folder / "play.mp4")
    assert err.count("success after") == int(lines["successes"])
    assert err.count("episode ") == 3
    assert (run_folder / "play.mp4").read_bytes()[4:8] == b"ftyp"


def test_play_opens_the_viewer_where_there_is_a_display(run_folder, monkeypatch, tmp_path, capsys) -> None:
    asked: list[tuple] = []

    def watch(folder: Path, episodes: int, seed: int, console, device: str, **which: bool) -> list[Episode]:
        asked.append((folder, episodes, seed))
        return EXPECTED

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(play_module, "watch_run", watch)
    assert main(["play", str(run_folder), "--envs", "4"]) == 0
    assert asked == [(run_folder, 4, EVALUATION_SEED)]
    assert capsys.readouterr().out == "episodes   4\nsuccesses  3\n"
    monkeypatch.setattr(video, "record_run", lambda *arguments, **which: EXPECTED[:1])
    assert main(["play", str(run_folder), "--out", str(tmp_path / "a.gif")]) == 0
    assert len(asked) == 1, "a file was asked for"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--out", "a.avi"], "--out a.avi is not allowed; its suffix must be .mp4 or .gif"),
        (["--out", "a"], "its suffix must be .mp4 or .gif"),
        (["--out", "there.mp4"], "--out there.mp4 exists already"),
        (["--out", "no/a.mp4"], "no is no folder"),
        (["--out", "a.mp4", "--envs", "0"], "envs=0"),
        (["--out", "a.mp4", "--episodes", "-3"], "episodes=-3"),
        (["--device", "tpu"], "device='tpu' is not known"),
    ],
)
def test_a_users_mistake_is_one_line(run_folder, monkeypatch, tmp_path, capsys, words, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video, "open_run", lambda *_, **__: pytest.fail("a scene is built"))
    (tmp_path / "there.mp4").write_text("precious")
    assert main(["play", str(run_folder), *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and named in err and err.count("\n") == 1
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("folder", [".", "no/such/folder"])
def test_no_run_folder_is_said(folder: str, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["play", folder, "--out", "a.mp4"]) == 2
    assert "no run folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_fresh_names_do_not_overwrite(tmp_path) -> None:
    names = []
    for _ in range(3):
        path = cli_play._fresh(tmp_path / "play.mp4")
        path.touch()
        names.append(path.name)
    assert names == ["play.mp4", "play-2.mp4", "play-3.mp4"]
