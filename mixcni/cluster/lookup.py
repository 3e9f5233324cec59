"""Indices over what dumps hold: addresses to prefixes, and connections by their ends."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from mixcni.cluster.addresses import Address, Prefix
from mixcni.cluster.cilium.ct import CtEntry
from mixcni.cluster.cilium.ipcache import IpcacheEntry
from mixcni.cluster.dump import Dump


class PrefixIndex:
    """Longest prefix match, as the datapath does it: one hash table, asked once for each length that occurs."""

    def __init__(self, entries: Iterable[IpcacheEntry]) -> None:
        self._entries: dict[Prefix, list[IpcacheEntry]] = defaultdict(list)
        lengths: dict[int, set[int]] = {4: set(), 6: set()}
        for entry in entries:
            self._entries[entry.prefix].append(entry)
            lengths[entry.prefix.version].add(entry.prefix.prefixlen)
        self._lengths = {version: sorted(found, reverse=True) for version, found in lengths.items()}

    def longest(self, address: Address) -> Sequence[IpcacheEntry]:
        """The entries of the longest prefix that holds `address`, in the order of reading; () if none does."""
        for length in self._lengths[address.version]:
            entries = self._entries.get(ip_network((address, length), strict=False))
            if entries:
                return entries
        return ()


class DumpIndex:
    """Dumps by the lines that they hold."""

    def __init__(self, dumps: Iterable[Dump]) -> None:
        self._of_file: dict[str, list[Dump]] = defaultdict(list)
        for dump in dumps:
            self._of_file[dump.file].append(dump)
        self._starts = {}
        for file, held in self._of_file.items():
            held.sort(key=lambda dump: dump.line)
            self._starts[file] = [dump.line for dump in held]

    def of(self, file: str, line: int) -> Dump | None:
        """The dump that holds a line, the innermost one where one stands inside another."""
        held = self._of_file.get(file, [])
        at = bisect_right(self._starts.get(file, []), line)
        return next((dump for dump in reversed(held[:at]) if dump.holds(file, line)), None)


class ConnectionIndex:
    """Conntrack entries by both ends, and by each address."""

    def __init__(self, entries: Iterable[CtEntry]) -> None:
        self._by_ends: dict[tuple[Address | None, int | None, Address | None, int | None], list[CtEntry]] = defaultdict(list)
        self._by_address: dict[Address, list[CtEntry]] = defaultdict(list)
        for entry in entries:
            self._by_ends[entry.source, entry.source_port, entry.destination, entry.destination_port].append(entry)
            for address in {entry.source, entry.destination}:
                if address is not None:
                    self._by_address[address].append(entry)

    def of(self, source: Address, source_port: int, destination: Address, destination_port: int) -> Sequence[CtEntry]:
        """The entries of one connection, those in the orientation asked for first."""
        there = self._by_ends.get((source, source_port, destination, destination_port), [])
        back = self._by_ends.get((destination, destination_port, source, source_port), [])
        return there if source == destination and source_port == destination_port else [*there, *back]

    def with_end(self, address: Address) -> Sequence[CtEntry]:
        """The entries with `address` at either end."""
        return self._by_address.get(address, ())
