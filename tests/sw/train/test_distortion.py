"""Distortions of training pictures, against interpolation worked out pixel by pixel."""

import numpy as np
import pytest
import torch

from signfold.sw.train.augmentation import epoch_frames
from signfold.sw.train.distortion import distorted


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int, top: int = 255) -> torch.Tensor:
    return torch.randint(0, top + 1, shape, generator=generator(1), dtype=torch.uint8)


def by_hand(picture: np.ndarray, angle: float, down: float, across: float) -> np.ndarray:
    """Turn about the middle, then stretch, in float64: each place of the new picture looks into the old one."""
    height, width = picture.shape
    found = np.zeros(picture.shape)
    for y in range(height):
        for x in range(width):
            v, u = y - (height - 1) / 2, x - (width - 1) / 2
            old_x = (np.cos(angle) * u - np.sin(angle) * v) / across + (width - 1) / 2
            old_y = (np.sin(angle) * u + np.cos(angle) * v) / down + (height - 1) / 2
            for row in (int(np.floor(old_y)), int(np.floor(old_y)) + 1):
                for column in (int(np.floor(old_x)), int(np.floor(old_x)) + 1):
                    if 0 <= row < height and 0 <= column < width:
                        share = (1 - abs(old_y - row)) * (1 - abs(old_x - column))
                        found[y, x] += share * picture[row, column]
    return found


@pytest.mark.parametrize("shape", [(28, 28), (6, 11)])
def test_as_worked_out_by_hand(shape) -> None:
    source = pictures(5, *shape)
    got = distorted(source, generator(), rotate=30, zoom=0.25).numpy()
    drawn = (torch.rand(3, 5, generator=generator()) * 2 - 1).double().numpy()
    for k in range(5):
        angle, down, across = np.radians(30) * drawn[0, k], 1 + 0.25 * drawn[1, k], 1 + 0.25 * drawn[2, k]
        # In float32 a place may be off by some millionths: a code is off by one where it was near a half.
        assert np.abs(by_hand(source[k].numpy(), angle, down, across) - got[k]).max() < 0.51


def test_nothing_drawn_changes_nothing() -> None:
    source = pictures(40, 3, 9, 9)
    assert torch.equal(distorted(source, generator()), source)


def test_channels_move_together_and_codes_stay_in_range() -> None:
    plane = pictures(30, 12, 12, top=15)
    got = distorted(plane[:, None].repeat(1, 3, 1, 1), generator(), rotate=45, zoom=0.5, bits=4)
    assert got.dtype == torch.uint8 and got.max() <= 15
    for channel in range(3):
        assert torch.equal(got[:, channel], distorted(plane, generator(), rotate=45, zoom=0.5, bits=4))


def test_order_and_shifts_are_drawn_first() -> None:
    source, labels = pictures(50, 8, 8), torch.arange(50)
    plain, order = epoch_frames(source, labels, generator(), shift=1)
    turned, same = epoch_frames(source, labels, generator(), shift=1, rotate=20)
    assert torch.equal(order, same) and not torch.equal(plain, turned)


def test_elastic_displacements_are_smooth_and_as_large_as_said() -> None:
    """A picture that rises by 3 codes a column shows each pixel's displacement: a third of its change."""
    size, inner = 60, slice(15, 45)
    ramp = (torch.arange(size, dtype=torch.uint8) * 3)[None, None].repeat(400, size, 1).reshape(400, size, size)
    moved = (distorted(ramp, generator(), elastic=1.5).double() - ramp)[:, inner, inner] / 3
    # 400 independent pictures, each with a few dozen independent places, and 1/36 pixel^2 of rounding at most.
    assert abs(moved.std() - 1.5) < 0.05 and abs(moved.mean()) < 0.05
    for axis in (1, 2):
        for step in (1, 4, 8):
            first, second = moved.narrow(axis, 0, 30 - step), moved.narrow(axis, step, 30 - step)
            # White noise through a Gaussian of deviation s is correlated as a Gaussian of deviation s * sqrt(2).
            assert abs((first * second).mean() / moved.var() - np.exp(-(step**2) / (4 * 4**2))) < 0.03
    down = distorted(ramp.transpose(1, 2).contiguous(), generator(), elastic=1.5).transpose(1, 2)
    assert not torch.equal(down, distorted(ramp, generator(), elastic=1.5))


def test_channels_are_displaced_together() -> None:
    plane = pictures(5, 20, 20)
    got = distorted(plane[:, None].repeat(1, 3, 1, 1), generator(), elastic=1.0)
    for channel in range(3):
        assert torch.equal(got[:, channel], distorted(plane, generator(), elastic=1.0))
