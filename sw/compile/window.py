"""Windows of convolutions and pools over pictures: kernel, stride and padding."""

from dataclasses import dataclass

from signfold.sw.errors import CompileError
from signfold.sw.network.types import is_int, shown

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """A window that moves over a padded picture; the last rows and columns that it does not reach are dropped.

    Parameters
    ----------
    kernel : tuple of int
        Height and width, positive.
    stride : tuple of int
        Steps down and to the right, positive.
    padding : tuple of int
        Rows or columns added at the top, bottom, left and right, each smaller than the kernel.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def checked(cls, name: str, kernel: object, stride: object, padding: object) -> "Window":
        """Build a window of what a file says, refused by the name of the layer and of the entry."""
        for what, values, count, least in (
            ("kernel", kernel, 2, 1),
            ("stride", stride, 2, 1),
            ("padding", padding, 4, 0),
        ):
            good = isinstance(values, (list, tuple)) and len(values) == count
            if not good or not all(is_int(value) and least <= value < 1 << 16 for value in values):
                raise CompileError(
                    f"layer {shown(name)}: {what} must be {count} integers from {least} to 65535, not {shown(values)}"
                )
        for side, pad in enumerate(padding):
            if pad >= kernel[side // 2]:
                raise CompileError(
                    f"layer {shown(name)}: padding {list(padding)} must be smaller than the kernel {list(kernel)}"
                )
        return cls(tuple(kernel), tuple(stride), tuple(padding))

    @property
    def area(self) -> int:
        """Positions that a window covers."""
        return self.kernel[0] * self.kernel[1]

    def positions(self, name: str, picture: tuple[int, ...]) -> tuple[int, int]:
        """Return rows and columns of windows over a picture of this height and width; `name` is the layer's."""
        top, bottom, left, right = self.padding
        spare = (picture[0] + top + bottom - self.kernel[0], picture[1] + left + right - self.kernel[1])
        if min(spare) < 0:
            raise CompileError(
                f"layer {shown(name)}: kernel {list(self.kernel)} does not fit {picture[0]}x{picture[1]} positions "
                f"with padding {list(self.padding)}"
            )
        return spare[0] // self.stride[0] + 1, spare[1] // self.stride[1] + 1

    def reaches_padding(self, picture: tuple[int, ...]) -> bool:
        """Say whether any window over a picture of this height and width covers a pad."""
        rows, columns = self.positions("", picture)
        ends = ((rows - 1) * self.stride[0] + self.kernel[0], (columns - 1) * self.stride[1] + self.kernel[1])
        top, _, left, _ = self.padding
        return bool(top or left) or ends[0] > picture[0] or ends[1] > picture[1]
