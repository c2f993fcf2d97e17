"""Windows of Conv and pools as ONNX states them: kernel, strides, pads, dilations, rounding of the last one."""

from signfold.sw.compile.window import Window
from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.graph import Operation, refuse

__all__ = ["MAX_PRODUCTS", "check_work", "read_window"]

#: Products, or numbers compared, a picture and layer.
MAX_PRODUCTS = 1 << 34


def check_work(operation: Operation, window: Window, picture: tuple[int, ...], each: int) -> None:
    """Refuse windows over a picture that take too many steps, `each` for a position of a window."""
    rows, columns = window.positions(operation.name, picture)
    if rows * columns * window.area * each > MAX_PRODUCTS:
        raise refuse(operation, f"it takes more than {MAX_PRODUCTS} products a picture")
    top, bottom, left, right = window.padding
    if (picture[0] + top + bottom) * (picture[1] + left + right) > MAX_ELEMENTS:
        raise refuse(operation, f"its padded picture has more than {MAX_ELEMENTS} positions")


def read_window(operation: Operation, picture: tuple[int, ...], kernel: tuple[int, ...] | None = None) -> Window:
    """Read the window of an operation over a picture of this height and width.

    Parameters
    ----------
    operation : Operation
        Conv, MaxPool or AveragePool.
    picture : tuple of int
        Height and width.
    kernel : tuple of int, optional
        Kernel, where the weights give it.

    Raises
    ------
    CompileError
        The window has other than two dimensions, is dilated, or covers more than the padded picture.
    """
    stated = operation.integers("kernel_shape", kernel)
    kernel = stated if kernel is None else kernel
    if stated is None or tuple(stated) != tuple(kernel) or len(kernel) != 2 or len(picture) != 2:
        raise refuse(operation, f"kernel_shape {shown(stated)} must be two sizes, those of the weights")
    strides = operation.integers("strides", (1, 1))
    if any(size != 1 for size in operation.integers("dilations", (1, 1))):
        raise refuse(operation, "dilations must be 1: windows are read from line buffers without gaps")
    pads = operation.integers("pads", (0, 0, 0, 0))
    if len(pads) != 4 or len(strides) != 2 or min(strides) < 1 or min(kernel) < 1:
        raise refuse(operation, f"pads {shown(pads)} and strides {shown(strides)} must be of two dimensions")
    match operation.text("auto_pad", "NOTSET"):
        case "NOTSET" | "":
            padding = (pads[0], pads[2], pads[1], pads[3])
        case "VALID":
            padding = (0, 0, 0, 0)
        case "SAME_UPPER" | "SAME_LOWER" as auto:
            padding = ()
            for size, reach, stride in zip(picture, kernel, strides, strict=True):
                total = max(0, (-(-size // stride) - 1) * stride + reach - size)
                less, more = total // 2, total - total // 2
                padding += (less, more) if auto == "SAME_UPPER" else (more, less)
        case other:
            raise refuse(operation, f"auto_pad {shown(other)} is not known")
    window = Window.checked(operation.name, kernel, strides, padding)
    if operation.integer("ceil_mode", 0):
        rows, columns = window.positions(operation.name, picture)
        for axis, count in enumerate((rows, columns)):
            padded = picture[axis] + padding[2 * axis] + padding[2 * axis + 1]
            if (count - 1) * strides[axis] + kernel[axis] != padded:
                raise refuse(operation, "ceil_mode 1 adds a window that is not whole; allowed: pads that make it whole")
    return window
