"""A third evaluation of integer networks: torch's own operators on doubles, which hold integers up to 2**53 exactly."""

import torch
from torch.nn.functional import avg_pool2d, conv2d, linear, max_pool2d, pad

from signfold.sw.network import Affine, Conv, Dense, MaxPool, SumPool, Threshold

EXACT = 2**53


def torch_trace(network, frames):
    """Return the int64 result of every node by name, as `Network.trace` does."""
    values = {"input": torch.tensor(frames).double()}
    tops = {"input": 2**network.input.bits - 1}
    for node in network.nodes:
        value, top = values[node.input], tops.get(node.input)
        match node:
            case Threshold():
                rows = torch.tensor(node.thresholds).double()
                codes = (value.movedim(1, -1).unsqueeze(-1) >= rows).sum(-1)
                if node.inverted is not None:
                    codes = torch.where(torch.tensor(node.inverted), node.levels - codes, codes)
                value = codes.movedim(-1, 1).double()
                tops[node.name] = node.levels
            case Dense():
                value = linear((2 * value - top).flatten(1), bipolar(node))
            case Conv():
                fill = 0.0 if node.pad is None else float(2 * node.pad - top)
                value = pad(2 * value - top, sides(node), value=fill)
                value = conv2d(value, bipolar(node), stride=node.stride, groups=node.groups)
            case MaxPool():
                value = max_pool2d(pad(value, sides(node), value=-torch.inf), node.kernel, node.stride)
                if top is not None:
                    tops[node.name] = top
            case SumPool():
                summands = value if top is None else 2 * value - top
                value = avg_pool2d(pad(summands, sides(node)), node.kernel, node.stride, divisor_override=1)
            case Affine():
                value = value.flatten(1) * torch.tensor(node.scale) + torch.tensor(node.offset)
        assert (value.abs() < EXACT).all()
        values[node.name] = value
    del values["input"]
    return {name: value.long().numpy() for name, value in values.items()}


def bipolar(node):
    """Return the integers that weight codes stand for."""
    return 2 * torch.tensor(node.weights).double() - (node.levels - 1)


def sides(node):
    """Return the padding in the order of torch's `pad`, last dimension first."""
    top, bottom, left, right = node.padding
    return left, right, top, bottom
