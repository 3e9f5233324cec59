"""Every exception is one of ours, says all it knows in one line, and survives pickling."""

import inspect
import pickle
from pathlib import Path

import pytest

from mixcni import errors
from mixcni.errors import (
    CaptureError,
    CaseError,
    DumpError,
    MixcniError,
    ParameterError,
    SchemaError,
    TruncatedCapture,
    UnknownFormat,
    UnreadableCapture,
)

A = Path("A.pcap")
FACTS = ("record 3", A, 61, 22, 20, "length field")
ERRORS = [
    (CaptureError(*FACTS), "A.pcap, octet 61: record 3 needs 22 octets by its length field, has 20"),
    (TruncatedCapture(*FACTS), "A.pcap, octet 61: record 3 needs 22 octets by its length field, has 20"),
    (UnreadableCapture(A, "Permission denied"), "A.pcap cannot be read: Permission denied"),
    (UnknownFormat(A, "73 6e"), "A.pcap, octet 0: wanted a pcap or pcapng magic number, found 73 6e"),
    (CaseError(Path("case.toml"), "a path", "none"), "case.toml: wanted a path, found none"),
    (DumpError(Path("ct.txt"), "octets"), "ct.txt: wanted the text of a dump, found octets"),
    (SchemaError("a column"), "a column"),
    (ParameterError("a value"), "a value"),
    (MixcniError("base"), "base"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS])
def test_an_error_says_all_it_knows_in_one_line_and_pickles(error, text):
    assert str(error) == text
    assert isinstance(error, MixcniError)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.args, str(copy), vars(copy)) == (error.args, text, vars(error))


@pytest.mark.parametrize("kind", [TruncatedCapture, UnknownFormat, UnreadableCapture])
def test_every_trouble_with_a_capture_is_a_capture_error_with_its_path(kind):
    (error,) = [error for error, _ in ERRORS if type(error) is kind]
    assert isinstance(error, CaptureError)
    assert error.path == A
    assert error.wanted > error.had


def test_a_parameter_error_is_a_value_error():
    assert issubclass(ParameterError, ValueError)


def test_the_modules_text_lists_every_exception_and_each_is_held_above():
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MixcniError)}
    assert kinds == {type(error) for error, _ in ERRORS}
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or "")
