"""Tables check themselves once, cannot be written, and show themselves to pandas; address books unite."""

import ipaddress
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni import schema
from mixcni.decode import PacketTable
from mixcni.errors import MixcniError, SchemaError
from mixcni.read.frames import NO_TIME
from mixcni.schema import Column
from mixcni.tables import AddressBook, Table, recode, unite_address_books
from tests.wire import START, decoded, udp_frame


class Pair(Table):
    schema = {"a": Column("int64", "ns", "RFC 1"), "b": Column("uint8", "", "RFC 2", "a note")}  # noqa: RUF012


def pair(**replaced):
    columns = {"a": np.arange(3, dtype=np.int64), "b": np.arange(3, dtype=np.uint8)} | replaced
    return {name: array for name, array in columns.items() if array is not None}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (pair(b=None), "needs a column 'b' of uint8"),
        (pair(c=np.zeros(3)), "knows no column 'c'; it has a, b"),
        (pair(b=np.zeros(3, dtype=np.int8)), "'b' is 1-D int8, wanted 1-D uint8"),
        (pair(a=np.zeros((3, 1), dtype=np.int64)), "'a' is 2-D int64"),
        (pair(b=np.zeros(2, dtype=np.uint8)), "'b' has 2 rows, the columns before it have 3"),
        (pair(a=np.empty(0, dtype=np.int64)), "'b' has 3 rows, the columns before it have 0"),
    ],
)
def test_columns_that_are_not_the_schemas_are_refused(columns, message):
    with pytest.raises(SchemaError, match=message):
        Pair(columns)


def test_a_table_is_its_columns_in_the_schemas_order_and_cannot_be_written():
    columns = pair()
    table = Pair(dict(reversed(columns.items())))
    assert list(table) == ["a", "b"]
    assert len(table) == 3
    assert table.nbytes == 27
    assert repr(table) == "Pair: 3 rows, 2 columns, 27 octets"
    with pytest.raises(ValueError, match="read-only"):
        table["a"][0] = 7
    table.columns().clear()
    assert len(table.columns()) == 2
    assert columns["a"].flags.writeable  # the caller's own array is left as it was


def test_a_frame_has_the_columns_and_tells_what_they_hold():
    frame = Pair(pair()).to_frame()
    assert frame.dtypes.to_dict() == {"a": np.int64, "b": np.uint8}
    assert frame.attrs["schema"]["b"] == {"dtype": "uint8", "unit": "", "source": "RFC 2", "note": "a note"}
    assert Pair.empty().to_frame().dtypes.equals(frame.dtypes)
    assert len(Pair.empty()) == 0


@pytest.mark.parametrize("words", [np.zeros((2, 3), np.uint32), np.zeros(4, np.uint32), np.zeros((2, 4), np.int64)])
def test_an_address_book_of_other_words_is_refused(words):
    with pytest.raises(SchemaError, match="an address book is"):
        AddressBook(words)


def book(*texts):
    packed = [ipaddress.ip_address(text).packed for text in texts]
    octets = b"".join(p if len(p) == 16 else bytes(10) + b"\xff\xff" + p for p in packed)
    return AddressBook(np.frombuffer(octets, dtype=">u4").astype(np.uint32).reshape(-1, 4))


def test_an_address_is_spelt_as_it_was_on_the_wire():
    """RFC 5952 for IPv6; an IPv4 address stands IPv4-mapped (RFC 4291 section 2.5.5.2) and is spelt as IPv4."""
    texts = ["10.242.2.149", "2001:db8::1", "::1", "255.255.255.255", "::"]
    mine = book(*texts)
    assert mine.texts(np.array([-1, 0, 1, 2, 3, 4, 0])) == ["-", *texts, texts[0]]
    assert mine.packed(0) == bytes(10) + b"\xff\xff\x0a\xf2\x02\x95"
    assert mine.address(2) == ipaddress.IPv6Address("::1")
    with pytest.raises(ValueError, match="read-only"):
        mine.words[0, 0] = 1


ADDRESSES = st.one_of(st.ip_addresses().map(str), st.sampled_from(["10.0.0.1", "10.0.0.2", "::1", "::ffff:0:0"]))


@given(st.lists(st.lists(ADDRESSES, max_size=6, unique=True), max_size=4))
def test_united_books_spell_every_old_code_as_before(lists):
    books = [book(*texts) for texts in lists]
    united, recodings = unite_address_books(books)
    assert len(united) == len({words.tobytes() for one in books for words in one.words})
    assert len(recodings) == len(books)
    for one, recoding in zip(books, recodings, strict=True):
        codes = np.array([-1, *range(len(one))], dtype=np.int32)
        assert united.texts(recode(codes, recoding)) == one.texts(codes)
        assert recoding.dtype == np.int32


def test_no_address_stays_none_through_recoding():
    assert recode(np.array([-1, -1], dtype=np.int32), np.empty(0, dtype=np.int32)).tolist() == [-1, -1]
    assert recode(np.array([-1, 1, 0], dtype=np.int32), np.array([4, 9], dtype=np.int32)).tolist() == [-1, 9, 4]


SCHEMAS = {name: value for name, value in vars(schema).items() if name.isupper() and isinstance(value, Mapping)}


@pytest.mark.parametrize("columns", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_every_column_has_a_dtype_and_a_source(columns):
    for name, column in columns.items():
        np.dtype(column.dtype)
        assert column.source
        assert name.isidentifier()
        assert not name.endswith("_ns") or (column.dtype, column.unit) == ("int64", "ns")


def test_packets_go_to_pandas_with_addresses_as_text_and_times_to_the_nanosecond(tmp_path):
    frames = [udp_frame(("10.0.0.1", 1), ("10.0.0.2", 2), time_ns=START + 7)] * 2
    table = decoded(tmp_path / "A.pcap", frames)
    times = np.array([START + 7, NO_TIME], dtype=np.int64)
    frame = PacketTable(table.columns() | {"time_ns": times}, table.book).to_frame()
    assert frame["source"].tolist() == ["10.0.0.1"] * 2
    assert frame["time"][0] == pd.Timestamp(START + 7, tz="UTC")
    assert frame["time"].isna().tolist() == [False, True]  # a frame without a timestamp has no time, not that of 1969
    assert frame["time_ns"].tolist() == times.tolist()


def test_a_schema_error_is_one_of_ours():
    assert issubclass(SchemaError, MixcniError)
