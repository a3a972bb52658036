"""The world: a Genesis scene of many environments, filled, built, stepped, reset, rendered and destroyed."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from genesis_gym.errors import ArgumentError, MissingDependencyError, safe_repr
from genesis_gym.runtime import genesis_api, kernel_replay, memory_workarounds
from genesis_gym.runtime.backend import is_running, kernel_cache_is_cold, require_running, running_genesis, start
from genesis_gym.runtime.random import EnvRandom
from genesis_gym.runtime.startup_patches import quick_introspection
from genesis_gym.runtime.system import require_display
from genesis_gym.world.component import Component, Property
from genesis_gym.world.gravity import STANDARD_GRAVITY, Gravity
from genesis_gym.world.physics import Physics, Viewpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("genesis_gym")

#: Camera frame in pixels (width, height), and its vertical field of view.
CAMERA_RESOLUTION = (480, 360)
CAMERA_FOV_DEGREES = 34
DEFAULT_VIEWPOINT = Viewpoint()

LivePart = TypeVar("LivePart", bound=Component, covariant=True)


class Addable(Protocol[LivePart]):
    """What `World.add` takes: a declaration that makes a live component of itself."""

    @property
    def name(self) -> str | None:
        """What it is called unless `add` names it."""

    @property
    def add_to(self) -> Callable[..., LivePart]:
        """Adds it to a scene that is not built yet: `add_to(world, name, **placement)`."""


class World(Component):
    """A Genesis scene with `num_envs` independent copies of one world.

    Parts are added between construction and `build`. Genesis solves a scene of a single environment by other code,
    whose results differ in the last bits. So the world keeps a second one then, which nobody else sees: `visible`
    leaves it out of what is read, `padded` fills it in what is written.

    Attributes:
        scene: The `genesis.Scene`.
        num_envs: Environments.
        device: Where tensors live.
        physics: Rate and options of the solver.
        control_dt: Seconds of a control step.
        parts: Name → what was added.
        has_viewer: Whether Genesis's viewer is open, which looks at every step.
        visual: Whether the scene is drawn: by a viewer or a camera.
        version: Changes whenever positions or velocities do, for caches of what was read.
    """

    def __init__(
        self,
        physics: Physics,
        num_envs: int,
        *,
        decimation: int = 1,
        device: str = "auto",
        show_viewer: bool = False,
        camera_envs: Sequence[int] = (),
        viewpoint: Viewpoint = DEFAULT_VIEWPOINT,
    ) -> None:
        """Prepare an empty scene.

        Args:
            physics: Rate and options of the solver.
            num_envs: Environments, at least 1.
            decimation: Physics steps in a control step.
            device: One of `genesis_gym.runtime.DEVICES`.
            show_viewer: Open Genesis's viewer.
            camera_envs: Environments that `render` shows by default; with none there is no camera.
            viewpoint: Of the camera and the viewer.

        Raises:
            MissingDependencyError: A viewer is asked for and there is no display, or a library is missing.
        """
        if show_viewer:
            require_display()
        self.device = start(device)
        self._genesis = running_genesis()
        self.num_envs = num_envs
        self.physics = physics
        self.control_dt = physics.dt * decimation
        self.parts: dict[str, Component] = {}
        self.has_viewer = show_viewer
        self.visual = show_viewer or bool(camera_envs)
        self._viewpoint = viewpoint
        self.version = 0
        self._scene_envs = max(2, num_envs)
        self.scene = self._new_viewed_scene() if show_viewer else self._new_scene()
        self._camera_envs = list(camera_envs)
        self._camera = self._add_camera() if camera_envs else None
        self._put_back: torch.Tensor | None = None
        self._envs_to_reset = torch.zeros(self._scene_envs, dtype=torch.bool, device=self.device)
        self._before_step: list[Callable[[], None]] = []
        self._gravity = Gravity(self)

    @property
    def dt(self) -> float:
        """Seconds of a physics step."""
        return self.physics.dt

    def add(self, item: Addable[LivePart], *, name: str | None = None, **placement: Any) -> LivePart:
        """Add a robot, an object, a terrain or a sensor to a scene that is not built yet.

        Args:
            item: Its declaration, which is left as it is.
            name: What it is called, such as in the names of randomised properties.
            **placement: `position` in metres and more, as the item's `add_to` knows them.

        Returns:
            The live part.

        Raises:
            ArgumentError: The name is taken, or the item cannot be added.
        """
        called = name or item.name or type(item).__name__.lower()
        if name is None:
            numbers = (called if i == 1 else f"{called}_{i}" for i in range(1, len(self.parts) + 2))
            called = next(free for free in numbers if free not in self.parts)
        if called in self.parts:
            raise ArgumentError(f"name={safe_repr(called)} is taken; the world has {', '.join(self.parts)}")
        live = copy.copy(item).add_to(self, called, **placement)
        self.parts[called] = live
        return live

    def add_entity(self, morph: Any, **options: Any) -> Any:
        """Add an entity of Genesis.

        Args:
            morph: A `genesis.morphs.Morph`.
            **options: `material`, `surface` and more of `genesis.Scene.add_entity`.
        """
        return self.scene.add_entity(morph, **options)

    def zeros(self, *shape: int) -> torch.Tensor:
        """Float32 zeros `(num_envs, *shape)`."""
        return torch.zeros(self.num_envs, *shape, dtype=torch.float32, device=self.device)

    def ones(self, *shape: int) -> torch.Tensor:
        """Float32 ones `(num_envs, *shape)`."""
        return torch.ones(self.num_envs, *shape, dtype=torch.float32, device=self.device)

    def tensor(self, values: Any) -> torch.Tensor:
        """Numbers as a float32 tensor on the world's device."""
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def visible(self, tensor: torch.Tensor) -> torch.Tensor:
        """What was read of every environment of the scene, without the hidden one."""
        return tensor[: self.num_envs] if self._scene_envs > self.num_envs else tensor

    def padded(self, tensor: torch.Tensor) -> torch.Tensor:
        """What is written to every environment, the hidden one included; its first dimension is `num_envs`."""
        return torch.cat([tensor, tensor]) if self._scene_envs > self.num_envs else tensor

    def build(self) -> None:
        """Build the scene; the first build on a machine compiles Genesis's kernels, which is logged."""
        if kernel_cache_is_cold():
            logger.warning(
                "compiling Genesis's kernels for the first time: a minute or more; later starts reuse them"
            )
        with quick_introspection():
            self.scene.build(n_envs=self._scene_envs)
        memory_workarounds.share_kernels(self.scene)
        kernel_replay.replay_substeps(self.scene)
        if self.physics.contacts.impedance is not None:
            genesis_api.stiffen_contacts(self.scene, self.physics.contacts.impedance)

    def require_running(self) -> None:
        """Refuse to go on after `gs.destroy()`, which destroys the scene.

        Raises:
            ClosedError: It was called since the world was made.
        """
        require_running(self._genesis)

    def start(self) -> None:
        """Make the present state the one that `reset_scene` returns to; every part is in place."""
        genesis_api.keep_as_initial_state(self.scene)
        self.version += 1

    def call_before_step(self, hook: Callable[[], None]) -> None:
        """Call something before every physics step from now on, such as a force that lasts for one step."""
        self._before_step.append(hook)

    def step(self) -> None:
        """Advance every environment by one physics step.

        An environment that Genesis flags as faulty is frozen by it, and some steps later Genesis refuses to step
        any at all. Such environments are then put back to their initial state and the step is taken for the
        others.
        """
        import genesis as gs

        for hook in self._before_step:
            hook()
        self.version += 1
        try:
            self.scene.step(update_visualizer=self.has_viewer)
        except gs.GenesisException:
            faulty = genesis_api.failed_envs(self.scene)
            if not bool(faulty.any()):
                raise
            self._put_back = faulty.clone() if self._put_back is None else self._put_back | faulty
            self._reset_scene(faulty)
            self.scene.step(update_visualizer=self.has_viewer)

    def faulty_envs(self) -> torch.Tensor:
        """Environments whose solver failed since the last call: NaN accelerations, too many contacts.

        Returns:
            bool `(num_envs,)`.
        """
        faulty, put_back, self._put_back = genesis_api.failed_envs(self.scene), self._put_back, None
        return self.visible(faulty if put_back is None else faulty | put_back)

    def fault_reason(self, env: int) -> str | None:
        """Why the solver of an environment failed, such as "its solver failed: invalid acc nan"; None if not."""
        names = genesis_api.failures_of(self.scene, env)
        return f"its solver failed: {', '.join(names)}" if names else None

    def reset_scene(self, envs: torch.Tensor) -> None:
        """Put environments back to the initial state: positions, velocities, control, warm start and fault flags.

        Args:
            envs: bool mask `(num_envs,)`.
        """
        self._reset_scene(self.padded(envs))

    def properties(self) -> dict[str, Property]:
        """Gravity and friction."""
        return {
            "gravity": Property(write=self._gravity.set_magnitude, nominal=STANDARD_GRAVITY),
            "gravity_tilt": Property(write=self._gravity.set_tilt, nominal=0.0),
            "friction_scale": Property(write=self._set_friction_ratio),
        }

    def set_friction(self, coefficient: float) -> None:
        """Set the friction coefficient of every geometry; two in contact have the higher one.

        Args:
            coefficient: Coulomb's, 0.01 to 5. Genesis builds scenes with 1.
        """
        genesis_api.set_friction(self.scene, coefficient)

    def link_poses(self, entity: Any, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Link poses that an entity would have, by Genesis's forward kinematics; no state changes.

        Args:
            entity: A Genesis entity.
            positions: Generalised positions `(n, positions)`, for any n.

        Returns:
            World-frame positions `(n, links, 3)` in metres and quaternions w, x, y, z `(n, links, 4)`.
        """
        poses = [
            genesis_api.forward_kinematics(self.scene, entity, part)
            for part in torch.split(positions, self._scene_envs)
        ]
        return torch.cat([p for p, _ in poses]), torch.cat([q for _, q in poses])

    def render(self, envs: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Draw environments as they are now, each in an image of its own.

        Args:
            envs: Environments to draw, in this order; None for the camera's.

        Returns:
            uint8 `(envs, height, width, 3)`.

        Raises:
            ArgumentError: The scene has no camera.
        """
        if self._camera is None:
            raise ArgumentError("there is no camera; make the environment with render_mode='rgb_array'")
        chosen = self._camera_envs if envs is None else envs
        return np.stack([genesis_api.render_env(self.scene, self._camera, env) for env in chosen])

    @contextmanager
    def until_viewer_closes(self) -> Iterator[None]:
        """Leave the block quietly once the viewer's window is closed; Genesis raises in whatever it does next."""
        import genesis as gs

        try:
            yield
        except gs.GenesisException:
            if genesis_api.viewer_is_open(self.scene):
                raise

    def close(self) -> None:
        """Destroy the scene; Genesis itself and other scenes live on."""
        if not is_running(self._genesis):
            return  # `gs.destroy()` has destroyed the scene
        if self.scene.is_built:
            memory_workarounds.let_go(self.scene)
        self.scene.destroy()
        memory_workarounds.return_freed_memory()

    def _reset_scene(self, scene_envs: torch.Tensor) -> None:
        self._envs_to_reset.copy_(
            scene_envs
        )  # in one place: kernels look a tensor up by identity, 50 µs otherwise
        genesis_api.reset_envs(self.scene, self._envs_to_reset)
        self.version += 1

    def _state_items(self) -> Iterator[tuple[str, Any]]:
        """The parts, what is randomised, and the solver's arrays."""
        yield from super()._state_items()
        if self.scene.is_built:
            yield "solver", self._solver_state()

    def _load_item(self, name: str, value: Any) -> None:
        if name != "solver":
            super()._load_item(name, value)
            return
        record, arrays = genesis_api.solver_record(self.scene)
        for key, tensor in value.items():
            arrays[key] = tensor if isinstance(arrays[key], torch.Tensor) else tensor.cpu().numpy()
        genesis_api.restore_record(self.scene, record)
        self.version += 1

    def _solver_state(self) -> dict[str, torch.Tensor]:
        """Everything that the next steps of the solver depend on.

        Integers are left out, which only index and count: the solver finds them anew. So a state from a stranger
        holds nothing that could lead the solver astray in memory. What belongs to them goes with them: the sorted
        ends of the bounding boxes, and the contacts, which every step begins by finding.
        """
        arrays = {name: torch.as_tensor(value) for name, value in genesis_api.solver_record(self.scene)[1].items()}
        return {
            name: value
            for name, value in arrays.items()
            if (value.is_floating_point() or value.dtype == torch.bool)
            and not any(part in name for part in ("sort_buffer", "contact_data"))
        }

    def _set_friction_ratio(self, ratio: torch.Tensor, envs: torch.Tensor, rng: EnvRandom) -> None:
        genesis_api.set_friction_ratio(self.scene, self.padded(ratio))

    def _new_viewed_scene(self) -> Any:
        import genesis as gs

        try:
            return self._new_scene()
        except gs.GenesisException as error:
            raise MissingDependencyError(
                "the viewer cannot open the display named by DISPLAY or WAYLAND_DISPLAY; unset them to go without"
            ) from error

    def _new_scene(self) -> Any:
        import genesis as gs

        with quick_introspection():
            return gs.Scene(
                sim_options=gs.options.SimOptions(dt=self.dt, substeps=self.physics.substeps),
                rigid_options=genesis_api.rigid_options(
                    gs,
                    self_collision=self.physics.self_collision,
                    per_env=self.physics.per_env,
                    elliptic=self.physics.contacts.elliptic,
                ),
                vis_options=genesis_api.vis_options(gs),
                viewer_options=gs.options.ViewerOptions(
                    camera_pos=self._viewpoint.position,
                    camera_lookat=self._viewpoint.target,
                    camera_fov=CAMERA_FOV_DEGREES,
                ),
                show_viewer=self.has_viewer,
            )

    def _add_camera(self) -> Any:
        return self.scene.add_camera(
            res=CAMERA_RESOLUTION,
            pos=self._viewpoint.position,
            lookat=self._viewpoint.target,
            fov=CAMERA_FOV_DEGREES,
            GUI=False,
        )
