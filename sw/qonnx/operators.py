"""Operators of ONNX on arrays of exact numbers, for the reference evaluation and for constants.

Each follows the operator's specification. The first dimension of a tensor that depends on the pictures is their number,
whatever the file says; constants broadcast against it by 1 only.
"""

from math import prod

from signfold.sw.network.types import MAX_ELEMENTS, shown
from signfold.sw.qonnx.graph import FAULTS, Operation, check_inputs, refuse
from signfold.sw.qonnx.operators_numbers import NUMBERS
from signfold.sw.qonnx.operators_products import PRODUCTS
from signfold.sw.qonnx.operators_routes import ROUTES
from signfold.sw.qonnx.tensor import Tensor

__all__ = ["apply"]

_OPERATORS = NUMBERS | PRODUCTS | ROUTES


def apply(operation: Operation, inputs: list[Tensor | None]) -> Tensor:
    """Return the (first) result of an operation.

    Raises
    ------
    CompileError
        The operator is not known, its inputs do not fit, or the result is too large.
    """
    function = _OPERATORS.get(operation.op)
    if function is None:
        raise refuse(operation, "this operator has no exact evaluation here")
    check_inputs(operation)
    try:
        result = function(operation, inputs)
    except FAULTS as cause:
        raise refuse(operation, f"its inputs do not fit: {shown(str(cause))}") from None
    if prod(result.shape) > MAX_ELEMENTS:
        raise refuse(operation, f"shape {shown(result.shape)} has more than {MAX_ELEMENTS} elements")
    return result
