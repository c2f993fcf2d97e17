"""From a training run to the integer network, one pass a file. Imports no torch."""

from signfold.sw.compile.driver import Compilation, compile_network, compile_run

__all__ = ["Compilation", "compile_network", "compile_run"]
