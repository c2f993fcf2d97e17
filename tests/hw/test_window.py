"""Parameters of windows; their cycles and contents are tested as part of feeders."""

import pytest

from signfold.hw.window_parameters import WindowParameters


@pytest.mark.parametrize("size", [3, 5])
def test_storage_is_the_line_buffers(size):
    p = WindowParameters(8, 16, 32, 30, (size, size))
    assert p.capacity == (size - 1) * 30 + size


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kernel": (9, 3)}, ValueError, r"^kernel height must be at most 8, the padded height, not 9$"),
        ({"padding": (0, 0, 3, 0)}, ValueError, r"^padding must be smaller than the kernel's width 3, not 3$"),
        ({"stride": (0, 1)}, ValueError, r"^stride must be an integer of at least 1, not 0$"),
        ({"kernel": 3}, TypeError, r"^kernel must be a tuple of 2 integers, not 3$"),
        ({"pad_code": 2}, ValueError, r"^pad_code must be an integer from 0 to 1, not 2$"),
    ],
)
def test_wrong_parameters(change, error, message):
    good = {"simd": 4, "channels": 4, "height": 8, "width": 8, "kernel": (3, 3)}
    WindowParameters(**good)
    with pytest.raises(error, match=message):
        WindowParameters(**good | change)
