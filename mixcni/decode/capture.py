"""What was captured at one place: the packets of one or more files, their frames one by one, and what was damaged."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.packets import PacketTable, decode_packets, has_flag
from mixcni.errors import ParameterError
from mixcni.glance import Glance
from mixcni.read import STANDARD_INPUT, CaptureFile, Damage
from mixcni.schema import Encapsulation, Layer, Oddity, TcpFlag

if TYPE_CHECKING:
    import pandas as pd

LINK_NAMES: Final = {
    0: "NULL", 1: "ETHERNET", 9: "PPP", 12: "RAW", 14: "RAW", 50: "PPP_HDLC", 51: "PPP_ETHER", 101: "RAW", 104: "C_HDLC",
    105: "IEEE802_11", 107: "FRELAY", 108: "LOOP", 109: "ENC", 113: "LINUX_SLL", 117: "PFLOG", 119: "IEEE802_11_PRISM",
    127: "IEEE802_11_RADIOTAP", 163: "IEEE802_11_AVS", 167: "JUNIPER_PPPOE", 178: "JUNIPER_ETHER", 179: "JUNIPER_PPP",
    180: "JUNIPER_FRELAY", 181: "JUNIPER_CHDLC", 192: "PPI", 206: "FRELAY_WITH_DIR", 226: "IPNET", 228: "IPV4", 229: "IPV6",
    239: "NFLOG", 242: "IPOIB", 276: "LINUX_SLL2", 281: "DSA_TAG_BRCM", 282: "DSA_TAG_BRCM_PREPEND", 284: "DSA_TAG_DSA",
    285: "DSA_TAG_EDSA",
}  # fmt: skip
"""LINKTYPE_ names of the link types that are decoded (the tcpdump group's registry)."""
MAX_SHOWN: Final = 12  # files in a repr; rotated sets have hundreds


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as its file has it.

    octets : as captured; time_ns : since the Unix epoch, -1 where the file has none; original_length : octets on the wire
    """

    octets: bytes
    number: int
    time_ns: int
    original_length: int
    link_type: int

    def scapy(self) -> Any:
        """The frame dissected by scapy: a packet whose layers and fields can be looked at.

        Raises
        ------
        ParameterError : scapy knows no dissector for the link type, or gives up on the octets
        """
        import scapy.layers.all  # noqa: F401, registers the dissectors of link types
        from scapy.config import conf

        dissector = conf.l2types.num2layer.get(self.link_type)
        if dissector is None:
            raise ParameterError(f"frame {self.number}: scapy has no dissector for link type {self.link_type}")
        try:
            return dissector(self.octets)
        except struct.error as error:  # some dissectors read without asking for the length
            raise ParameterError(f"frame {self.number}: scapy cannot dissect it: {error!r}") from error

    def dpkt(self) -> Any:
        """The frame dissected by dpkt.

        Raises
        ------
        ParameterError : dpkt knows no dissector for the link type, or gives up on the octets
        """
        import dpkt

        raw = dpkt.ip6.IP6 if self.octets[:1] >= b"\x60" else dpkt.ip.IP
        dissectors = {
            0: dpkt.loopback.Loopback, 1: dpkt.ethernet.Ethernet, 9: dpkt.ppp.PPP, 101: raw, 108: dpkt.loopback.Loopback,
            113: dpkt.sll.SLL, 228: dpkt.ip.IP, 229: dpkt.ip6.IP6, 276: dpkt.sll2.SLL2,
        }  # fmt: skip
        if self.link_type not in dissectors:
            raise ParameterError(f"frame {self.number}: dpkt has no dissector for link type {self.link_type}")
        try:
            return dissectors[self.link_type](self.octets)
        except (dpkt.UnpackError, IndexError, AttributeError) as error:  # its IPv6 lets the latter two through
            raise ParameterError(f"frame {self.number}: dpkt cannot dissect it: {error!r}") from error


class Capture:
    """One or more capture files of one place, decoded.

    Parameters
    ----------
    files : in the order of their time
    table : their packets

    Examples
    --------
    >>> capture = mixcni.open_capture("captures/policy-removed/A.pcap")
    >>> capture.frame(4).dpkt().ip.tcp.dport
    8080
    """

    def __init__(self, files: Sequence[CaptureFile], table: PacketTable) -> None:
        self.files = tuple(files)
        self.table = table

    @classmethod
    def open(cls, paths: str | Path | Iterable[str | Path], *, strict: bool = False) -> Self:
        """Read and decode capture files.

        Parameters
        ----------
        paths : one file, or several of one place in the order of their time
        strict : raise at damage instead of keeping what stands before it

        Raises
        ------
        CaptureError : a file cannot be opened, is no capture, or is damaged and `strict`
        """
        files = [CaptureFile(path, strict=strict) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        return cls(files, decode_packets(files))

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def packets(self) -> "pd.DataFrame":
        """The packets as a DataFrame, a row a frame; `.attrs["schema"]` says what each column holds."""
        frame: pd.DataFrame = self.table.to_frame()
        return frame

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What could not be read, file by file."""
        return tuple(damage for file in self.files for damage in file.damage)

    def frame(self, number: int, file: int = 0) -> Frame:
        """One frame as its file has it.

        Parameters
        ----------
        number : as Wireshark counts, from 1 within its file
        file : position in `files`

        Raises
        ------
        ParameterError : there is no such frame or file, or the file is standard input
        """
        if not 0 <= file < len(self.files):
            raise ParameterError(f"file must be in [0, {len(self.files)}), got {file}")
        if self.files[file].path == STANDARD_INPUT:
            raise ParameterError(f"frame {number} cannot be looked up: standard input can be read once")
        if number >= 1:
            for block in self.files[file].blocks():
                at = number - block.first_frame_number
                frames = block.frames
                if at < frames.start.size:
                    start = int(frames.start[at])
                    octets = block.octets[start : start + int(frames.captured[at])].tobytes()
                    return Frame(octets, number, int(frames.time_ns[at]), int(frames.original[at]), int(frames.link_type[at]))
        count = int(np.diff(np.searchsorted(self.table["file"], [file, file + 1]))[0])
        raise ParameterError(f"frame must be in [1, {count}] for {self.files[file].path.name}, got {number}")

    def facts(self) -> list[dict[str, Any]]:
        """What there is in each file, counted: one object a file, by the contract of `mixcni points --json`.

        TCP is counted by the innermost header of each packet; headers that ICMP errors quote and later fragments are not, and the
        payload of fragmented segments is left out. `fragments` counts packets that were put together, and frames that
        are fragments of others.
        """
        return [self._facts_of(number, file) for number, file in enumerate(self.files)]

    def _facts_of(self, number: int, file: CaptureFile) -> dict[str, Any]:
        first, last = np.searchsorted(self.table["file"], [number, number + 1])
        column = {name: self.table[name][first:last] for name in self.table}
        present, flags = column["present"], column["tcp_flags"]
        tcp = has_flag(present, Layer.TCP)
        syn, ack = has_flag(flags, TcpFlag.SYN), has_flag(flags, TcpFlag.ACK)
        timed = column["time_ns"][column["time_ns"] >= 0]
        fragment = has_flag(present, Layer.FRAGMENT)
        put_together, part = (self._is_among(self.table.fragments[name], first, last) for name in ("whole", "packet"))
        whole = tcp & ~fragment & ~put_together
        left = fragment & ~part
        kinds = self.table.stacks.innermost_tunnel()[column["stack"]]
        tunnels = {kind.name.lower(): int((kinds == kind).sum()) for kind in Encapsulation if (kinds == kind).any()}
        return {
            "file": str(file.path),
            "link_types": sorted(
                {LINK_NAMES.get(interface.link_type, str(interface.link_type)) for interface in file.interfaces}
            ),
            "packets": int(last - first),
            "first_ns": int(timed.min()) if timed.size else None,
            "last_ns": int(timed.max()) if timed.size else None,
            "tcp_segments": int(tcp.sum()),
            "tcp_payload_octets": int(column["payload_octets"][whole].sum(dtype=np.int64)),
            "syn": int((tcp & syn & ~ack).sum()),
            "synack": int((tcp & syn & ack).sum()),
            "fin": int((tcp & has_flag(flags, TcpFlag.FIN)).sum()),
            "rst": int((tcp & has_flag(flags, TcpFlag.RST)).sum()),
            "udp": int(has_flag(present, Layer.UDP).sum()),
            "fragments": {"put_together": int(put_together.sum()), "left": int(left.sum())},
            "tunnels": tunnels,
            "not_decoded": int(has_flag(column["oddity"], Oddity.UNKNOWN_LINK_TYPE).sum()),
            "snaplen_cut": int((column["captured_length"] < column["original_length"]).sum()),
            "damage": [
                {"offset": d.offset, "what": d.what, "wanted": d.wanted, "had": d.had, "skipped": d.skipped} for d in file.damage
            ],
        }

    @staticmethod
    def _is_among(chosen: NDArray[np.int64], first: int, last: int) -> NDArray[np.bool_]:
        """Whether each row from `first` to `last` is one of those chosen."""
        among = np.zeros(last - first, dtype=np.bool_)
        among[chosen[(chosen >= first) & (chosen < last)] - first] = True
        return among

    @property
    def glance(self) -> Glance:
        """What `repr` and a notebook show."""
        facts = self.facts()
        rows = []
        for entry in facts[:MAX_SHOWN]:
            tunnels = "".join(f", {count:,} in {kind}" for kind, count in entry["tunnels"].items())
            cut = f", {entry['snaplen_cut']:,} cut by the snaplen" if entry["snaplen_cut"] else ""
            left = entry["fragments"]["left"]
            lone = f", {left:,} fragments of packets that are not whole" if left else ""
            unread = f", {entry['not_decoded']:,} of a link type that is not decoded" if entry["not_decoded"] else ""
            counts = f"{entry['packets']:,} packets, {entry['tcp_segments']:,} TCP segments{tunnels}{cut}{lone}{unread}"
            rows.append((Path(entry["file"]).name, "/".join(entry["link_types"]) or "no interface", counts))
        more = [f"... and {len(facts) - MAX_SHOWN} more"] if len(facts) > MAX_SHOWN else []
        return Glance(
            f"Capture: {len(self):,} packets in {len(self.files)} {'file' if len(self.files) == 1 else 'files'}",
            rows,
            notes=[*more, *(f"damaged: {damage}" for damage in self.damage[:MAX_SHOWN])],
        )

    def __repr__(self) -> str:
        return self.glance.text()

    def _repr_html_(self) -> str:
        return self.glance.html()
