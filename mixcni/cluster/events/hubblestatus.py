"""`hubble status`: whether events can be had at all, how full the ring is that holds them, and how fast they come."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_mapping, a_number, read_records
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class HubbleStatus:
    """What one `hubble status` says. A full ring forgets its oldest flow for each new one."""

    healthy: bool | None = None
    current_flows: int | None = None
    max_flows: int | None = None
    flows_per_second: float | None = None
    connected_nodes: int | None = None
    total_nodes: int | None = None
    file: str = ""
    line: int = 0


# Numbers have their thousands parted since 1.10.
_COUNT = r"(\d[\d,]{0,20})"
_HEALTH = re.compile(r"Healthcheck \(via .*\): (.+)")
_FLOWS = re.compile(rf"(?:Current/Max Flows|Max Flows): {_COUNT}(?:/{_COUNT})?(?: \([\d.]+%\))?")
_RATE = re.compile(r"Flows/s: (\d{1,12}(?:\.\d{1,12})?|N/A)")
_NODES = re.compile(rf"Connected Nodes: {_COUNT}/{_COUNT}")


def read_hubble_status(section: Section) -> Parsed:
    """The lines of one or more `hubble status`, each from its health check on."""
    entries: list[HubbleStatus] = []
    unparsed: list[Unparsed] = []
    said: dict[str, bool | int | float | None] = {}
    first = 0

    def finish() -> None:
        if said:
            entries.append(HubbleStatus(**said, file=section.file, line=first))  # type: ignore[arg-type]

    for number, text in section.numbered():
        fields = _fields(text.strip())
        if fields is None:
            unparsed.append(Unparsed(number, text, "wanted a line of hubble status"))
            continue
        if not said or fields.keys() & said.keys():
            finish()
            said, first = {}, number
        said |= fields
    finish()
    return Parsed(entries, unparsed)


def _fields(text: str) -> dict[str, bool | int | float | None] | None:
    """What one line says; None where it is none of these."""
    if found := _HEALTH.fullmatch(text):
        return {"healthy": found[1].strip().lower() == "ok"}
    if found := _FLOWS.fullmatch(text):
        current, most = _whole(found[1]), _whole(found[2])
        return {"current_flows": current, "max_flows": most} if most is not None else {"max_flows": current}
    if found := _RATE.fullmatch(text):
        return {"flows_per_second": None if found[1] == "N/A" else float(found[1])}
    if found := _NODES.fullmatch(text):
        return {"connected_nodes": _whole(found[1]), "total_nodes": _whole(found[2])}
    return None


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text.replace(",", ""))


def read_hubble_status_json(section: Section, records: Iterable[Record]) -> Parsed:
    """`hubble status -o json`: the observer's ServerStatusResponse."""
    return read_records(section, records, lambda record: _of_record(record, section.file))


def _of_record(record: Record, file: str) -> list[HubbleStatus] | str:
    value = a_mapping(record.value)
    counts = {name: _number(value.get(name)) for name in ("num_flows", "max_flows", "num_connected_nodes")}
    if counts["max_flows"] is None:
        return "no max_flows"
    unavailable = _number(value.get("num_unavailable_nodes"))
    connected = counts["num_connected_nodes"]
    total = None if connected is None else connected + (unavailable or 0)
    rate = value.get("flows_rate")
    return [
        HubbleStatus(
            None, counts["num_flows"], counts["max_flows"], float(rate) if isinstance(rate, int | float) else None,
            connected, total, file, record.line,
        )
    ]  # fmt: skip


def _number(value: object) -> int | None:
    """A number that protobuf's JSON writes as text, or in a wrapper's `value`."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value, re.ASCII):
        return int(value)
    return a_number(value)


KIND: Final = Kind(
    name="hubble_status",
    entry=HubbleStatus,
    read=read_hubble_status,
    read_json=read_hubble_status_json,
    rows=r"Healthcheck\ \(via|Current/Max\ Flows:",
    json=r'"max_flows"\s*:',
    commands=("hubble status",),
)
