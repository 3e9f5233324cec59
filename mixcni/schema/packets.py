"""The tables that decoding makes."""

from types import MappingProxyType
from typing import Final

from mixcni.schema.columns import Column, Schema

PACKETS: Final[Schema] = MappingProxyType(
    {
        "time_ns": Column("int64", "ns", "IPFIX 325", "since the Unix epoch, by the point's own clock"),
        "frame_number": Column("uint32", "", "Wireshark frame.number", "from 1 within its file"),
        "file": Column("uint16", "", "mixcni", "row in the table's list of files"),
        "interface": Column("uint16", "", "pcapng EPB Interface ID", "within its section; 0 for pcap"),
        "original_length": Column("uint32", "octet", "pcap orig_len", "on the wire"),
        "captured_length": Column("uint32", "octet", "pcap incl_len", "in the file"),
        "present": Column("uint16", "", "mixcni.schema.Layer", "flags: which headers were decoded"),
        "oddity": Column("uint16", "", "mixcni.schema.Oddity", "flags"),
        "source": Column("int32", "", "IPFIX 8, 27", "code in the address book; -1 without an IP header"),
        "destination": Column("int32", "", "IPFIX 12, 28", "code in the address book; -1 without an IP header"),
        "source_port": Column("uint16", "", "IPFIX 7", "ICMP echo: the identifier"),
        "destination_port": Column("uint16", "", "IPFIX 11", "ICMP: type * 256 + code"),
        "protocol": Column("uint8", "", "IPFIX 4", "IANA protocol number"),
        "ttl": Column("uint8", "", "IPFIX 192", "TTL or hop limit"),
        "ip_id": Column("uint16", "", "IPFIX 54", "of an IPv6 fragment the low 16 bits of its identification"),
        "tcp_flags": Column("uint8", "", "RFC 9293 3.1", "read only where present has TCP, as all of the below"),
        "seg_wnd": Column("uint16", "octet", "RFC 9293 3.3.1, SEG.WND", "unscaled"),
        "seg_seq": Column("uint32", "octet", "RFC 9293 3.3.1, SEG.SEQ"),
        "seg_ack": Column("uint32", "octet", "RFC 9293 3.3.1, SEG.ACK", "read only where tcp_flags has ACK"),
        "payload_octets": Column("uint32", "octet", "RFC 9293 3.4, SEG.LEN", "by the IP lengths, without SYN and FIN"),
        "stack": Column("int32", "", "mixcni", "row in the table of outer stacks; 0 where nothing is around the packet"),
    }
)

STACKS: Final[Schema] = MappingProxyType(
    {
        "outer": Column("int32", "", "mixcni", "row of the stack around this layer; 0 where it is the outermost"),
        "kind": Column("uint8", "", "mixcni.schema.Encapsulation"),
        "identifier": Column("uint32", "", "RFC 7348, 8926, 2890", "VNI, key, tag, label; 2**32 - 1: GRE without a key"),
        "source": Column("int32", "", "IPFIX 8, 27", "address code of the tunnel's near end; -1 where it has none"),
        "destination": Column("int32", "", "IPFIX 12, 28", "address code of its far end; -1"),
    }
)

OPTIONS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "mss": Column("int32", "octet", "RFC 9293 3.7.1", "-1 where it is not there"),
        "window_scale": Column("int16", "", "RFC 7323 2.2", "shift count as sent; -1 where it is not there"),
        "flags": Column("uint16", "", "mixcni.schema.OptionFlag", "timestamps alone make no row"),
        "sack_start": Column("int64", "", "mixcni", "row of the first block in the table of SACK blocks"),
        "sack_count": Column("uint8", "", "RFC 2018 3", "blocks from there on"),
    }
)

TIMESTAMPS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("uint32", "", "mixcni", "row in the packet table"),
        "ts_val": Column("uint32", "", "RFC 7323 3.2, TSval"),
        "ts_ecr": Column("uint32", "", "RFC 7323 3.2, TSecr", "valid with ACK"),
    }
)

SACK_BLOCKS: Final[Schema] = MappingProxyType(
    {
        "left": Column("uint32", "octet", "RFC 2018 3", "first sequence number of the block"),
        "right": Column("uint32", "octet", "RFC 2018 3", "the sequence number behind its last"),
    }
)

NEIGHBOURS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "is_reply": Column("bool", "", "RFC 826, 4861", "an ARP reply or a neighbour advertisement; else a question"),
        "sender": Column("int32", "", "RFC 826, 4861", "address code"),
        "target": Column("int32", "", "RFC 826, 4861", "address code of whom it is about"),
        "mac": Column("int64", "", "RFC 826", "the sender's hardware address as a number; 0 for neighbour discovery"),
    }
)

HINTS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row in the packet table"),
        "kind": Column("uint8", "", "mixcni.schema.Hint"),
    }
)

FRAGMENTS: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row of a fragment in the packet table"),
        "whole": Column("int64", "", "mixcni", "row of the fragment that came last: it has the columns of the whole packet"),
    }
)

QUOTES: Final[Schema] = MappingProxyType(
    {
        "packet": Column("int64", "", "mixcni", "row of the ICMP error in the packet table"),
        "source": Column("int32", "", "RFC 792", "address code in the quoted header"),
        "destination": Column("int32", "", "RFC 792", "address code in the quoted header"),
        "source_port": Column("uint16", "", "RFC 792", "from the quoted 8 octets"),
        "destination_port": Column("uint16", "", "RFC 792", "from the quoted 8 octets"),
        "protocol": Column("uint8", "", "RFC 792", "of the quoted header"),
        "seg_seq": Column("uint32", "octet", "RFC 792", "of the quoted TCP header"),
    }
)
