"""What training methods know and integers do not: each refused by name, with the nearest thing that compiles."""

from collections.abc import Mapping

from signfold.sw.errors import CompileError
from signfold.sw.network.types import shown

__all__ = ["KINDS", "refuse", "refuse_choices", "refuse_weights"]

_REAL = (
    "its activations are real numbers, which have no codes; the nearest that compiles: codes of up to 8 bits, "
    "'batchnorm_quant' (--activations 2 to 8), or signs, 'batchnorm_sign'"
)
_SUM = (
    "sums of real values of two branches have no common integer unit; the nearest that compiles: a chain of the same "
    "convolutions without shortcuts (vgg-small, cnv, bnn-cifar or steps such as '64c3p1,64c3p1,p2')"
)

_BASES = (
    "it makes sums of several signs, each with a real factor, which are no evenly spaced numbers; the nearest that "
    "compiles: codes of several bits, 'batchnorm_quant' (--activation bits --activations 2 to 8)"
)

#: Kinds of layers that are known and do not compile, and why.
KINDS: dict[str, str] = {
    "batchnorm_bases": _BASES,
    "bases": _BASES,
    "batchnorm_relu": _REAL,
    "relu": _REAL,
    "prelu": _REAL,
    "hardtanh": "a 'hardtanh' compiles only between a 'batchnorm' and the 'sign' or 'quant' that follows it: " + _REAL,
    "add": _SUM,
    "concat": (
        "channels of different layers have no common integer unit; only a 'concat' of one layer's sums with themselves "
        "compiles, right before a batch normalization (BinaryDuo's pairs); the nearest that compiles: a chain, such as "
        "vgg-small or steps such as '64c3p1,64c3p1,p2'"
    ),
    "subsample": "it belongs to a shortcut: " + _SUM,
}


def refuse(name: str, kind: str) -> CompileError:
    """Return the error that says why a layer of a kind in `KINDS` does not compile."""
    return CompileError(f"layer {shown(name)}: {shown(kind)} does not compile: {KINDS[kind]}")


def refuse_choices(name: str, entry: Mapping[str, object]) -> None:
    """Refuse what an entry asks for beside its kind: a K map, a shift computed from each picture.

    Raises
    ------
    CompileError
        Naming the layer and what would do.
    """
    if entry.get("k_map", False) is not False:
        raise CompileError(
            f"layer {shown(name)}: 'k_map' does not compile: K multiplies each position by the mean magnitude of the "
            f"real values around it, which bits do not hold, so no threshold is a constant; the nearest that compiles: "
            f"the same weights and scales without it (k_map false)"
        )
    if entry.get("shift") == "se":
        raise CompileError(
            f"layer {shown(name)}: 'shift' of 'se' does not compile: the shift is computed anew from the real values "
            f"of each picture, so no threshold is a constant; the nearest that compiles: the constant shift a "
            f"channel of the same paper ('shift': 'static')"
        )


def refuse_weights(name: str, entry: Mapping[str, object]) -> None:
    """Refuse weights that are no codes.

    Raises
    ------
    CompileError
        Naming the layer, the method and what would do.
    """
    method, levels = entry.get("method"), entry.get("levels", 2)
    if method == "multibase":
        raise CompileError(
            f"layer {shown(name)}: weights of method 'multibase' do not compile: they are sums of several signs, each "
            f"with a real factor; the nearest that compiles: weights of 2 to 8 bits (--weights 2, method 'dorefa')"
        )
    if levels == 0 and not isinstance(levels, bool):
        how = (
            "BinaryConnect of random signs is evaluated with its real weights; the nearest that compiles: the same "
            "trained and evaluated with signs (--weights 1)"
            if method == "stochastic"
            else "the nearest that compiles: training with weights of up to 8 bits (--weights 8, --first-weights 8, "
            "--last-weights 8)"
        )
        raise CompileError(
            f"layer {shown(name)}: real weights (levels 0) do not compile exactly: {how}; or rounding them now "
            f"(compile --real-weights 8)"
        )
