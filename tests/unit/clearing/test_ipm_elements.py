"""Messages as recon_svc takes them apart and as cardutil does: the same texts, the same errors."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from cardutil import CardutilError, iso8583
from cardutil.mciipm import vbs_bytes_to_list
from hypothesis import given
from hypothesis import strategies as st

from recon_svc.clearing.ipm_elements import ENCODING, elements
from recon_svc.clearing.records import FieldInvalid
from tests.unit.clearing.files import IPM, TEXTS, Elements, a_file, a_row

MESSAGES: list[bytes] = vbs_bytes_to_list(
    a_file(IPM, [a_row(number, amount=7**number) for number in range(1, 12)]), blocked=True
)
VALUES_AT_ONCE = 12


def ours(message: bytes) -> Elements | str:
    """Return what a message says, or the name of the field that is wrong."""
    try:
        return elements(message)
    except FieldInvalid as invalid:
        return invalid.field


def cardutils(message: bytes) -> Elements | str:
    try:
        found: Elements = iso8583.loads(message, encoding=ENCODING, iso_config=TEXTS)
    except (CardutilError, ValueError) as error:
        named = re.search(r"DE\d+", str(error))
        return named[0] if named else "record"
    return found


def assert_same(message: bytes) -> str:
    """Check a message; return the field that both find wrong, or nothing.

    Where a length is negative, cardutil reads on before it: only we refuse that.
    """
    mine, theirs = ours(message), cardutils(message)
    if mine != theirs:
        assert "-" in message.decode(ENCODING)
        assert isinstance(mine, str)
    return mine if isinstance(mine, str) else ""


def with_other_bytes(message: bytes) -> Iterator[bytes]:
    chance = random.Random(8583)
    for place in range(len(message)):
        for value in chance.sample(range(256), VALUES_AT_ONCE):
            yield message[:place] + bytes([value]) + message[place + 1 :]


def test_whole_messages_read_as_cardutil_reads_them() -> None:
    assert len(MESSAGES) == 14
    for message in MESSAGES:
        assert ours(message) == cardutils(message)
        assert isinstance(ours(message), dict)


def test_a_wrong_byte_anywhere_reads_as_cardutil_reads_it() -> None:
    told = {
        assert_same(wrong)
        for message in (MESSAGES[0], MESSAGES[1], MESSAGES[-2])
        for wrong in with_other_bytes(message)
    }

    assert {"", "record", "DE2", "DE31", "DE48", "DE63"} <= told


def test_too_little_or_too_much_reads_as_cardutil_reads_it() -> None:
    told = set()
    for message in (MESSAGES[0], MESSAGES[1]):
        told |= {assert_same(message[:length]) for length in range(len(message))}
        told |= {assert_same(message + b"\x40" * more) for more in range(1, 5)}

    assert told == {"record", "DE2", "DE31", "DE48", "DE63"}


@given(
    present=st.dictionaries(
        st.sampled_from(sorted(TEXTS, key=int)),
        st.text("".join(map(chr, range(256))), min_size=1, max_size=99),
    )
)
def test_every_element_that_cardutil_knows_reads_as_it_reads_it(present: Elements) -> None:
    message = iso8583.dumps(
        {"MTI": "1240", **{f"DE{number}": text for number, text in present.items()}},
        encoding=ENCODING,
        iso_config=TEXTS,
    )

    assert assert_same(message) == ""


@given(bitmap=st.binary(min_size=16, max_size=16), text=st.text("0123456789A+-_ ", max_size=300))
def test_any_bitmap_reads_as_cardutil_reads_it(bitmap: bytes, text: str) -> None:
    assert_same("1240".encode(ENCODING) + bitmap + text.encode(ENCODING))


def test_a_negative_length_is_none() -> None:
    message = MESSAGES[1]
    assert message[20:22].decode(ENCODING) == "16"

    assert ours(message[:20] + "-2".encode(ENCODING) + message[22:]) == "DE2"
