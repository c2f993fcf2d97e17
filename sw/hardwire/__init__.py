"""Hardwiring: constant weights become graphs of additions with as much in common as can be found."""

from signfold.sw.hardwire.search import LARGEST_MATRIX, adder_graph, graph_bits

__all__ = ["LARGEST_MATRIX", "adder_graph", "graph_bits"]
