"""Takes an IPM message apart into the texts of its elements; knows nothing of what they mean.

By cardutil's table of elements, but without its reader: that makes a hexadecimal dump of each
message for its debug log, whether or not that is on, which is three quarters of its time. EBCDIC
has a character for every byte, so a message is decoded at once, and places in the text are places
in the message.
"""

from __future__ import annotations

from functools import lru_cache

from cardutil.config import config

from recon_svc.clearing.records import FieldInvalid

ENCODING = "cp500"
BITMAP = slice(4, 20)
ELEMENTS_AT = 20
LAST_ELEMENT = 127
BITMAPS_KEPT = 64
LENGTH_DIGITS = {"FIXED": 0, "LLVAR": 2, "LLLVAR": 3}
REASON = "can't be taken apart"

Elements = dict[str, str]
# Name, digits of the length that stands before it, length if none does; None: no such is known.
Shape = tuple[str, int, int] | None

_SHAPES: dict[int, Shape] = {
    int(number): (f"DE{number}", LENGTH_DIGITS[element["field_type"]], element["field_length"])
    for number, element in config["bit_config"].items()
}


def elements(message: bytes) -> Elements:
    """Return the texts of what is in a message, by "MTI" and "DE2" to "DE127".

    Raises FieldInvalid: of an element whose length is no number, or else of the "record".
    """
    text = message.decode(ENCODING)
    if len(text) < ELEMENTS_AT:
        raise FieldInvalid("record", REASON)
    found = {"MTI": text[: BITMAP.start]}
    _number("record", found["MTI"])
    place = ELEMENTS_AT
    for shape in _shapes(message[BITMAP]):
        if shape is None:
            raise FieldInvalid("record", REASON)
        name, length_digits, length = shape
        if length_digits:
            length = _number(name, text[place : place + length_digits])
            place += length_digits
        found[name] = text[place : place + length]
        place += length
    if place != len(text):
        raise FieldInvalid("record", REASON)
    return found


def _number(field: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise FieldInvalid(field, REASON) from None
    if number < 0:
        raise FieldInvalid(field, REASON)
    return number


@lru_cache(maxsize=BITMAPS_KEPT)
def _shapes(bitmap: bytes) -> tuple[Shape, ...]:
    """Return what a bitmap says is there. A file has a handful of bitmaps, one for each message."""
    bits = f"{int.from_bytes(bitmap):0{8 * len(bitmap)}b}"
    return tuple(
        _SHAPES.get(number) for number in range(2, LAST_ELEMENT + 1) if bits[number - 1] == "1"
    )
