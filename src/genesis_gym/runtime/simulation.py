"""A Genesis scene of many rows: built, stepped, reset, rendered and destroyed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genesis_gym.errors import MissingDependencyError
from genesis_gym.runtime import genesis_api, kernel_replay, memory_workarounds
from genesis_gym.runtime.backend import is_running, kernel_cache_is_cold, require_running, running_genesis, start
from genesis_gym.runtime.startup_patches import quick_introspection
from genesis_gym.runtime.system import require_display

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("genesis_gym")

#: Camera frame in pixels (width, height), and where it stands and looks in the world frame, in metres.
CAMERA_RESOLUTION = (480, 360)
CAMERA_POSITION = (1.4, -1.35, 1.05)
CAMERA_TARGET = (0.34, 0.0, 0.37)
CAMERA_FOV_DEGREES = 34


class Simulation:
    """A Genesis scene with `num_rows` independent copies of one world.

    Entities are added to `scene` between construction and `build`.

    Attributes:
        scene: The `genesis.Scene`.
        num_rows: Rows of the scene.
        device: Where its tensors live.
        dt: Physics step in seconds.
        visual: Whether anybody looks at this scene: a viewer or a camera.
        viewed: Whether it is a viewer, which looks at every step.
    """

    def __init__(
        self,
        *,
        num_rows: int,
        dt: float,
        backend: str = "auto",
        show_viewer: bool = False,
        camera_rows: Sequence[int] = (),
        varied_physics: bool = False,
        firm_contacts: bool = False,
    ) -> None:
        """Prepare an empty scene.

        Args:
            num_rows: Rows to simulate, at least 1.
            dt: Physics step in seconds.
            backend: One of `genesis_gym.runtime.DEVICES`.
            show_viewer: Open Genesis's viewer.
            camera_rows: Rows that `render` shows unless it is told others; with none there is no camera.
            varied_physics: Let rows differ in gains, damping and masses. Genesis then solves them by other code,
                whose results differ in the last bits.
            firm_contacts: Solve contacts so that a grasp holds: without creep, tremble or deep penetration.

        Raises:
            MissingDependencyError: A viewer is asked for and there is no display, or a library is missing.
        """
        if show_viewer:
            require_display()
        self.device = start(backend)
        self._genesis = running_genesis()
        self.num_rows = num_rows
        self.dt = dt
        self.visual = show_viewer or bool(camera_rows)
        self.viewed = show_viewer
        self._firm_contacts = firm_contacts
        self.scene = self._new_viewed_scene(varied_physics) if show_viewer else self._new_scene(varied_physics)
        self._camera_rows = list(camera_rows)
        self._camera = self._add_camera() if camera_rows else None
        self._no_rows = torch.zeros(num_rows, dtype=torch.bool, device=self.device)
        self._rows_to_reset = torch.zeros_like(self._no_rows)

    def build(self) -> None:
        """Build the scene; the first build on a machine compiles Genesis's kernels, which is announced."""
        if kernel_cache_is_cold():
            logger.warning(
                "compiling Genesis's kernels for the first time: a minute or more; later starts reuse them"
            )
        with quick_introspection():
            self.scene.build(n_envs=self.num_rows)
        memory_workarounds.share_kernels(self.scene)
        kernel_replay.replay_substeps(self.scene)
        if self._firm_contacts:
            genesis_api.stiffen_contacts(self.scene)

    def require_running(self) -> None:
        """Refuse to go on after `gs.destroy()`, which destroys the scene.

        Raises:
            ClosedError: It was called since the scene was made.
        """
        require_running(self._genesis)

    def set_initial_state(self) -> None:
        """Make the present state the one that `reset` returns to."""
        genesis_api.keep_as_initial_state(self.scene)

    def step(self) -> torch.Tensor:
        """Advance every row by one physics step.

        A row that Genesis flags as faulty is frozen by it, and some steps later Genesis refuses to step any row
        at all. Such rows are then put back to their initial state and the step is taken for the others.

        Returns:
            bool `(num_rows,)`: rows put back here. The flags of `faulty_rows` are set before that.
        """
        import genesis as gs

        try:
            self.scene.step(update_visualizer=self.viewed)
        except gs.GenesisException:
            faulty = self.faulty_rows()
            if not bool(faulty.any()):
                raise
            self.reset(faulty)
            self.scene.step(update_visualizer=self.viewed)
            return faulty
        return self._no_rows

    def faulty_rows(self) -> torch.Tensor:
        """Rows whose solver failed (NaN forces or accelerations, too many contacts).

        Returns:
            bool `(num_rows,)`.
        """
        return genesis_api.failed_rows(self.scene)

    def fault_reason(self, row: int) -> str | None:
        """Why the solver of a row failed, in Genesis's words.

        Args:
            row: The row.

        Returns:
            Such as "its solver failed: invalid acc nan"; None if it did not fail.
        """
        names = genesis_api.failures_of(self.scene, row)
        return f"its solver failed: {', '.join(names)}" if names else None

    def reset(self, rows: torch.Tensor) -> None:
        """Put rows back to the initial state: positions, velocities, control, warm start and fault flags.

        Args:
            rows: bool mask `(num_rows,)`.
        """
        self._rows_to_reset.copy_(rows)  # in one place: kernels look a tensor up by its identity, 50 µs otherwise
        genesis_api.reset_rows(self.scene, self._rows_to_reset)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that the next steps of the solver depend on.

        Integers are left out, which only index and count: the solver finds them anew. So a state from a stranger
        holds nothing that could lead the solver astray in memory. What belongs to them goes with them: the sorted
        ends of the bounding boxes, and the contacts, which every step begins by finding.

        Returns:
            Name → float or bool tensor.
        """
        arrays = {name: torch.as_tensor(value) for name, value in genesis_api.solver_record(self.scene)[1].items()}
        return {
            name: value
            for name, value in arrays.items()
            if (value.is_floating_point() or value.dtype == torch.bool)
            and not any(part in name for part in ("sort_buffer", "contact_data"))
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave.

        Args:
            state: The tensors, from a scene built of the same parts and rows.
        """
        record, arrays = genesis_api.solver_record(self.scene)
        for name, value in state.items():
            arrays[name] = value if isinstance(arrays[name], torch.Tensor) else value.cpu().numpy()
        genesis_api.restore_record(self.scene, record)

    def set_gravity(self, gravity: torch.Tensor) -> None:
        """Set the gravity of every row.

        Args:
            gravity: World frame, m/s² `(num_rows, 3)`.
        """
        genesis_api.set_gravity(self.scene, gravity)

    def set_friction(self, coefficient: float) -> None:
        """Set the friction coefficient of every geometry, in every row; two in contact have the higher one.

        Args:
            coefficient: Coulomb's, 0.01 to 5. Genesis builds scenes with 1.
        """
        genesis_api.set_friction(self.scene, coefficient)

    def set_friction_ratio(self, ratio: torch.Tensor) -> None:
        """Scale the friction coefficient of every geometry of each row; `reset` puts the ratio back to 1.

        Args:
            ratio: `(num_rows,)`.
        """
        genesis_api.set_friction_ratio(self.scene, ratio)

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
            for part in torch.split(positions, self.num_rows)
        ]
        return torch.cat([p for p, _ in poses]), torch.cat([q for _, q in poses])

    def render(self, rows: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Draw rows as they are now, each in an image of its own.

        Args:
            rows: Rows to draw, in this order; None for the camera's.

        Returns:
            uint8 `(rows, height, width, 3)`.
        """
        assert self._camera is not None, "the scene was made without camera_rows"
        chosen = self._camera_rows if rows is None else rows
        return np.stack([genesis_api.render_row(self.scene, self._camera, row) for row in chosen])

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
            return  # the scene was destroyed with it
        if self.scene.is_built:
            memory_workarounds.let_go(self.scene)
        self.scene.destroy()
        memory_workarounds.return_freed_memory()

    def _new_viewed_scene(self, varied_physics: bool) -> Any:
        import genesis as gs

        try:
            return self._new_scene(varied_physics)
        except gs.GenesisException as error:
            raise MissingDependencyError(
                "the viewer cannot open the display named by DISPLAY or WAYLAND_DISPLAY; unset them to go without"
            ) from error

    def _new_scene(self, varied_physics: bool) -> Any:
        import genesis as gs

        with quick_introspection():
            return gs.Scene(
                sim_options=gs.options.SimOptions(dt=self.dt),
                rigid_options=genesis_api.rigid_options(
                    gs, per_row=varied_physics, firm_contacts=self._firm_contacts
                ),
                vis_options=genesis_api.vis_options(gs),
                viewer_options=gs.options.ViewerOptions(
                    camera_pos=CAMERA_POSITION, camera_lookat=CAMERA_TARGET, camera_fov=CAMERA_FOV_DEGREES
                ),
                show_viewer=self.viewed,
            )

    def _add_camera(self) -> Any:
        return self.scene.add_camera(
            res=CAMERA_RESOLUTION,
            pos=CAMERA_POSITION,
            lookat=CAMERA_TARGET,
            fov=CAMERA_FOV_DEGREES,
            GUI=False,
        )
