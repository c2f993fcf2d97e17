"""Trees of additions: the terms of one output are added up two by two."""

import heapq

from signfold.hw.adder_graph import Output, Sum

__all__ = ["Trees"]


class Trees:
    """Sums so far, to which the trees of outputs are appended.

    Parameters
    ----------
    inputs : int
        Number of inputs.
    sums : list of Sum
        Sums that outputs share.

    Attributes
    ----------
    sums : list of Sum
        All sums.
    """

    def __init__(self, inputs: int, sums: list[Sum]):
        self.sums = sums
        self._inputs = inputs
        # Inputs that a term reads, counted with their scales: how wide it is; and how deep.
        self._sizes = [1] * inputs
        self._levels = [0] * inputs
        for entry in sums:
            self._note(entry)

    def _note(self, entry):
        sizes, levels = self._sizes, self._levels
        sizes.append((sizes[entry.left] << entry.left_shift) + (sizes[entry.right] << entry.right_shift))
        levels.append(1 + max(levels[entry.left], levels[entry.right]))

    def add(self, terms: list[tuple[int, bool, int]]) -> Output:
        """Return an output that adds up terms: each with whether it is subtracted and how far it is shifted up.

        The two shallowest are added first, among equals the narrowest: no tree is deeper than it must be.
        """
        if not terms:
            return Output(None)
        heap = [(self._levels[term], self._sizes[term] << shift, term, minus, shift) for term, minus, shift in terms]
        heapq.heapify(heap)
        while len(heap) > 1:
            _, _, *first = heapq.heappop(heap)
            _, _, *second = heapq.heappop(heap)
            # Only the right one can be subtracted: where both are, so is their sum.
            if first[1] and not second[1]:
                first, second = second, first
            (left, left_minus, left_shift), (right, right_minus, right_shift) = first, second
            common = min(left_shift, right_shift)
            entry = Sum(left, right, left_minus != right_minus, left_shift - common, right_shift - common)
            self.sums.append(entry)
            self._note(entry)
            new = self._inputs + len(self.sums) - 1
            heapq.heappush(heap, (self._levels[new], self._sizes[new] << common, new, left_minus, common))
        _, _, term, minus, shift = heap[0]
        return Output(term, minus, shift)
