from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.synthetic import camera, scene, textures, wall
from harness.data.synthetic.scene import Polyp, Scene, View

HEIGHT = 96
VIEW = View(lumen=(0.9, 0.0), roll=0.0, travel=1.0)


@pytest.fixture(scope="module")
def stretch() -> Scene:
    rng = np.random.default_rng(0)
    return scene.draw_scene(rng, [textures.draw(rng)])


def polyp_at(x: float, y: float, radius: float, **changes: object) -> Polyp:
    """A round polyp whose centre shows at (x, y) in ``VIEW``, ``radius`` half heights wide."""
    across, down = x - VIEW.lumen[0], y - VIEW.lumen[1]
    distance = float(np.hypot(across, down))
    round_one = Polyp(
        kind="sessile",
        around=float(np.arctan2(down, across)),
        along=VIEW.travel + 1 / distance,
        radius=radius / distance,
        stretch=1.0,
        turn=0.0,
        outline=((0.0, 0.0),),
        tint=(1.1, 0.8, 0.8),
        grain=0.03,
    )
    return dataclasses.replace(round_one, **changes)  # type: ignore[arg-type]


def photograph(
    stretch: Scene, *polyps: Polyp, look: str = "C1", view: View = VIEW
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return camera.photograph(
        scene.with_polyps(stretch, polyps),
        view,
        camera.LOOKS[look],
        height=HEIGHT,
        rng=np.random.default_rng(0),
    )


def test_truth_is_the_outline(stretch: Scene) -> None:
    """A circle of radius 0.3 half heights about (-0.1, 0.2)."""
    _, mask = photograph(stretch, polyp_at(-0.1, 0.2, 0.3))
    grid = wall.Grid.of(*mask.shape)
    np.testing.assert_array_equal(mask, np.hypot(grid.x + 0.1, grid.y - 0.2) < 0.3)


def test_only_the_polyp_and_its_shadow_change_the_frame(stretch: Scene) -> None:
    without, empty = photograph(stretch)
    with_one, mask = photograph(stretch, polyp_at(-0.1, 0.2, 0.2))
    assert not empty.any()
    changed = np.abs(without.astype(int) - with_one).max(axis=2) > 12
    assert changed[mask].mean() > 0.3
    grid = wall.Grid.of(*mask.shape)
    far = np.hypot(grid.x + 0.1, grid.y - 0.2) > 0.6
    assert not changed[far].any()


def test_a_polyp_behind_the_camera_or_out_of_sight_is_not_there(stretch: Scene) -> None:
    behind = polyp_at(-0.1, 0.2, 0.3, along=VIEW.travel - 1)
    outside = polyp_at(-4.0, 0.2, 0.3)
    tiny = polyp_at(0.1, 0.2, 0.01)
    assert not photograph(stretch, behind, outside, tiny)[1].any()


def test_truth_ends_at_the_aperture(stretch: Scene) -> None:
    """A circle about (-0.8, -0.7), a part of which the octagon's corner cuts off."""
    _, mask = photograph(stretch, polyp_at(-0.8, -0.7, 0.3))
    grid = wall.Grid.of(*mask.shape)
    free = camera.aperture(camera.LOOKS["C1"], grid) > 0.5
    circle = np.hypot(grid.x + 0.8, grid.y + 0.7) < 0.3
    assert (circle & ~free).any()
    np.testing.assert_array_equal(mask, circle & free)


def test_a_stalk_belongs_to_the_polyp(stretch: Scene) -> None:
    head = photograph(stretch, polyp_at(-0.1, 0.2, 0.2))[1]
    whole = photograph(stretch, polyp_at(-0.1, 0.2, 0.2, kind="pedunculated"))[1]
    assert whole[head].all()
    assert 1.15 < whole.sum() / head.sum() < 2.2


def test_the_display_covers_the_truth(stretch: Scene) -> None:
    image, mask = photograph(stretch, polyp_at(-1.05, 0.8, 0.5), look="hyperkvasir")
    corner = slice(-20, -6), slice(6, 20)
    assert mask.any()
    assert not mask[corner].any()
    assert (image[corner][..., 1] > image[corner][..., 0]).mean() > 0.6


def test_the_lumen_is_dark_and_the_wall_is_lit(stretch: Scene) -> None:
    view = View(lumen=(0.0, 0.0), roll=0.3, travel=0.5)
    image, _ = photograph(stretch, view=view)
    rows, columns = image.shape[:2]
    centre = image[rows // 2 - 4 : rows // 2 + 4, columns // 2 - 4 : columns // 2 + 4]
    rim = image[rows // 2 - 4 : rows // 2 + 4, 20:32]
    assert centre.mean() < 0.6 * rim.mean()
    assert rim[..., 0].mean() > rim[..., 2].mean()


@pytest.mark.parametrize("name", camera.LOOKS)
def test_every_look_gives_even_frames_of_its_own_shape(stretch: Scene, name: str) -> None:
    look = camera.LOOKS[name]
    image, mask = photograph(stretch, look=name)
    assert image.shape == (*camera.frame_shape(look, HEIGHT), 3)
    assert mask.shape == image.shape[:2]
    assert image.shape[0] % 2 == image.shape[1] % 2 == 0
    assert image.shape[1] / image.shape[0] == pytest.approx(look.aspect, rel=0.03)
    free = camera.aperture(look, wall.Grid.of(*mask.shape))
    assert 0.6 < free.mean() <= 1


def test_a_drawn_polyp_can_be_seen(stretch: Scene) -> None:
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(30):
        view = scene.draw_view(rng)
        polyp = scene.draw_polyp(rng, view, aspect=1.25)
        seen += photograph(stretch, polyp, view=view)[1].any()
    assert seen >= 27


def test_a_path_passes_its_view() -> None:
    steps = scene.path(np.random.default_rng(0), VIEW, 5)
    assert len(steps) == 5
    assert steps[2] == VIEW
    assert len({(step.lumen, step.roll, step.travel) for step in steps}) == 5
