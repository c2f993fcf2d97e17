"""The accumulator's addition on a carry chain of the ECP5, as Verilog of CCU2C.

After Yosys's model of the cell: half a CCU2C holds a table of A, B, C and D, whose value chooses between the carry from
below (1) and a table of A and B alone, the lowest quarter of the first (0), and the sum is the exclusive or of that
value and the carry from below.
"""

__all__ = ["gated_sum_verilog"]

#: A ^ (C & ~D); where C and D are 0 it is A, which is also the carry that a bit makes by itself.
_GATED = "16'haa5a"


def gated_sum_verilog(name: str, width: int, part: int) -> str:
    """Return a module that adds a number to a gated total; see `signfold.hw.accumulator.Addition`.

    Its ports `carries` and `right`, where there is one, are not looked at. It takes half a CCU2C a bit.

    Parameters
    ----------
    name : str
        Name of the module.
    width, part : int
        Bits of the total, and of the number, at most as many.
    """
    ports = [f"input [{width - 1}:0] so_far", "input restart", "input [1:0] carries", f"input [{part - 1}:0] left"]
    lines = [f"module {name}({', '.join(ports)}, output [{width - 1}:0] total);"]
    count = -(-width // 2)
    lines += [f"  wire [{count}:0] chain;", "  assign chain[0] = 1'b0;"]
    for k in range(count):
        pins = [f".CIN(chain[{k}])", f".COUT(chain[{k + 1}])"]
        for half, bit in enumerate((2 * k, 2 * k + 1)):
            left = f"left[{bit}]" if bit < part else "1'b0"
            before = f"so_far[{bit}]" if bit < width else "1'b0"
            pins += [f".A{half}({left})", f".B{half}(1'b0)", f".C{half}({before})", f".D{half}(restart)"]
            pins += [f".S{half}(total[{bit}])"] if bit < width else [f".S{half}()"]
        parameters = f'.INIT0({_GATED}), .INIT1({_GATED}), .INJECT1_0("NO"), .INJECT1_1("NO")'
        lines.append(f"  CCU2C #({parameters}) sum_{k} ({', '.join(pins)});")
    return "\n".join([*lines, "endmodule"])
