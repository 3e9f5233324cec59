"""`cilium bpf metrics list`: packets that the node's datapath forwarded and dropped, by reason, since it booted."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import releases


@dataclass(frozen=True, slots=True)
class Metric:
    """Packets of one reason in one direction; no peer is known of them."""

    SHOWN: ClassVar = ("is_drop",)

    reason: str
    """`Success`, `Policy denied`, ...: the text of a drop or forward reason."""
    direction: str
    """INGRESS, EGRESS, SERVICE or UNKNOWN."""
    packets: int
    bytes: int
    source_line: int | None = None
    """Where in the datapath's own source the packets were counted, 1.16 on."""
    source_file: str | None = None
    reason_code: int | None = None
    """The number of the reason, in the JSON of releases before 1.16."""
    file: str = ""
    line: int = 0

    @property
    def is_drop(self) -> bool:
        """Whether the packets were dropped."""
        code = self.reason_code
        if code is not None:
            return code >= FIRST_DROP
        return self.reason not in _NO_DROPS and not self.reason.startswith("LB")


FIRST_DROP: Final = 130  # smaller codes say how a packet was forwarded
_NO_DROPS: Final = frozenset({
    "Success", "Interface", "Interface Decrypted", "Interface Decrypting", "Interface Encrypting", "MTU error message",
    "Fragmented packet", "Decrypted packet", "Encrypting packet", "Plaintext packet",
})  # fmt: skip
_DIRECTIONS: Final = frozenset({"INGRESS", "EGRESS", "SERVICE", "UNKNOWN"})
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


def read_metrics(section: Section) -> Parsed:
    """The rows of `bpf metrics list`. The reason is of several words, so cells are counted from the direction on."""
    entries: list[Metric] = []
    unparsed: list[Unparsed] = []
    has_source: bool | None = None
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[0] == "REASON" and "DIRECTION" in tokens:
            has_source = "LINE" in tokens
            continue
        entry = _entry(tokens, section.file, number)
        if entry is None:
            unparsed.append(Unparsed(number, text, "wanted reason, direction, packets and bytes"))
        else:
            entries.append(entry)
    version = None if has_source is None else releases(16) if has_source else releases(0, 15)
    return Parsed(entries, unparsed, version, partial=lost_rows(unparsed))


def _entry(tokens: list[str], file: str, number: int) -> Metric | None:
    at = next((at for at in range(len(tokens) - 1, 0, -1) if tokens[at].upper() in _DIRECTIONS), 0)
    cells = tokens[at + 1 :]
    if not at or not 2 <= len(cells) <= 4 or not all(map(_NUMBER.fullmatch, cells[:3])):
        return None
    return Metric(
        " ".join(tokens[:at]), tokens[at].upper(), int(cells[0]), int(cells[1]),
        int(cells[2]) if len(cells) > 2 else None, cells[3] if len(cells) > 3 else None, None, file, number,
    )  # fmt: skip


def read_metrics_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf metrics list -o json`, of both its forms."""
    return read_records(section, records, lambda record: list(_of_record(record, section.file)) or "no row of metrics")


def _of_record(record: Record, file: str) -> Iterator[Metric]:
    value = a_mapping(record.value)
    if isinstance(values := value.get("values"), dict):  # before 1.16: a reason, and its directions below
        for direction, counts in values.items():
            packets, octets = (a_number(a_mapping(counts).get(name)) for name in ("packets", "bytes"))
            if packets is not None and octets is not None:
                description = a_text(value.get("description")) or ""
                yield Metric(
                    description, direction.upper(), packets, octets, None, None, a_number(value.get("reason")), file, record.line
                )
        return
    packets, octets = a_number(value.get("packets")), a_number(value.get("bytes"))
    reason, direction = a_text(value.get("reason")), a_text(value.get("direction"))
    if packets is not None and octets is not None and reason and direction:
        source_line, source_file = a_number(value.get("line")), a_text(value.get("file"))
        yield Metric(reason, direction.upper(), packets, octets, source_line, source_file, None, file, record.line)


KIND: Final = Kind(
    name="metrics",
    entry=Metric,
    read=read_metrics,
    read_json=read_metrics_json,
    titles=r"REASON\ DIRECTION\ PACKETS",
    json=r'^\{\s*"reason"\s*:[^{}]*"(?:direction|values)"\s*:',
    commands=("bpf metrics list", "cilium_metrics"),
    files=("metrics list",),
)
