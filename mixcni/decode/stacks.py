"""What is around a packet: the layers between the link and its own IP header, each stack once."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mixcni.schema import STACKS, Encapsulation
from mixcni.tables import AddressBook, Table

NO_KEY = 0xFFFFFFFF
KIND_BITS = 4
NAMELESS = Encapsulation.IPIP, Encapsulation.TEREDO, Encapsulation.MPLS_UDP  # they have no identifier


class StackTable(Table):
    """Outer stacks as a tree: each row is one layer inside the stack of its row `outer`; row 0 is no layer at all."""

    schema = STACKS

    @classmethod
    def outermost(cls) -> Self:
        """The table in which nothing is around any packet."""
        return cls.of_words(np.zeros((1, 4), dtype=np.uint32))

    @classmethod
    def of_words(cls, words: NDArray[np.uint32]) -> Self:
        """The table of (n, 4) keys as the decoding kernel packs them: outer and kind, identifier, source, destination."""
        columns: dict[str, NDArray[Any]] = {
            "outer": (words[:, 0] >> KIND_BITS).astype(np.int32),
            "kind": (words[:, 0] & ((1 << KIND_BITS) - 1)).astype(np.uint8),
            "identifier": words[:, 1].copy(),
            "source": words[:, 2].astype(np.int32),
            "destination": words[:, 3].astype(np.int32),
        }
        columns["source"][0] = columns["destination"][0] = -1
        return cls(columns)

    def layers(self, stack: int) -> list[int]:
        """The rows of a stack's layers, the outermost first."""
        found = []
        while stack:
            found.append(stack)
            stack = int(self["outer"][stack])
        return found[::-1]

    def text(self, stack: int, book: AddressBook) -> str:
        """A stack in words, the outermost layer first: `vlan 7, vxlan 21 10.0.0.1>10.0.0.2`; empty for row 0."""
        return ", ".join(self._layer_text(row, book) for row in self.layers(stack))

    def texts(self, book: AddressBook) -> list[str]:
        """The text of every stack."""
        return [self.text(stack, book) for stack in range(len(self))]

    def innermost_tunnel(self) -> NDArray[np.uint8]:
        """(n,) the kind of each stack's innermost tunnel; 0 where it has tags and labels alone."""
        kinds = self["kind"]
        found = np.zeros(len(self), dtype=np.uint8)
        for row in range(1, len(self)):  # a stack is known before what is inside it
            found[row] = kinds[row] if Encapsulation(kinds[row]).is_tunnel else found[self["outer"][row]]
        return found

    def _layer_text(self, row: int, book: AddressBook) -> str:
        kind = Encapsulation(self["kind"][row])
        identifier = int(self["identifier"][row])
        words = [kind.name.lower()]
        if kind not in NAMELESS and not (kind == Encapsulation.GRE and identifier == NO_KEY):
            words.append(str(identifier))
        if self["source"][row] >= 0:
            words.append(f"{book.text(int(self['source'][row]))}>{book.text(int(self['destination'][row]))}")
        return " ".join(words)
