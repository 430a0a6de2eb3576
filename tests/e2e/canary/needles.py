"""Every form in which a card number could lie around, to be searched for in bytes."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

_BETWEEN = b" ./_-"


@dataclass(frozen=True, slots=True)
class Needles:
    """What is searched for.

    forms: bytes by name. spelt: those between whose bytes spaces, dashes and the like may stand.
    code: matches in lower case.
    """

    forms: dict[str, bytes] = field(default_factory=dict)
    spelt: dict[str, bytes] = field(default_factory=dict)
    code: re.Pattern[bytes] | None = None

    def found_in(self, content: bytes) -> list[str]:
        """Return the names of the forms that are in there."""
        content = content.replace(bytes(256), b"\0")  # most of a database's files
        found = [name for name, form in self.forms.items() if form in content]
        if self.spelt:
            together = content.translate(None, _BETWEEN)
            found += [name for name, form in self.spelt.items() if form in together]
        if self.code is not None and self.code.search(content.lower()):
            found.append("code")
        return found


def needles(canaries: list[str], test_cards: list[str], cvc: str) -> Needles:
    """Return all forms of these card numbers, and of a code where the word stands before it.

    Of test cards, which are mostly zeros, only what can't be there by chance. Three digits alone
    are everywhere; beside a card number they are found with that.
    """
    made = Needles(code=re.compile(rb"cvc\W{0,6}" + cvc.encode()))
    for pan in (*canaries, *test_cards):
        forms = _text_forms(pan) | (_other_forms(pan) if pan in canaries else {})
        made.forms.update({f"{pan[-4:]} {name}": form for name, form in forms.items()})
        made.spelt[f"{pan[-4:]} spelt"] = pan.encode()
    made.forms["code in EBCDIC"] = f"CVC{cvc}".encode("cp500")
    made.forms["code in protobuf"] = b"\x2a\x03" + cvc.encode()  # field 5 of a card
    return made


def _text_forms(pan: str) -> dict[str, bytes]:
    text = pan.encode()
    return {
        "in UTF-16": pan.encode("utf-16-le")[:-1],  # of either byte order
        "in EBCDIC": pan.encode("cp500"),
        "in hex": text.hex().encode(),
        "EBCDIC in hex": pan.encode("cp500").hex().encode(),
        "percent-encoded": "".join(f"%{byte:x}" for byte in text).encode(),
        **{f"in base64, offset {offset}": _base64(text, offset) for offset in range(3)},
    }


def _other_forms(pan: str) -> dict[str, bytes]:
    """Return parts and packed forms. More than the first six and the last four is too much."""
    swapped = "".join(pan[at + 1] + pan[at] for at in range(0, len(pan), 2))
    return {
        "without its end": pan[:-4].encode(),
        "without its beginning": pan[6:].encode(),
        "in BCD": bytes.fromhex(pan),
        "in BCD, half a byte on": bytes.fromhex(pan[1:-1]),
        "in BCD, swapped": bytes.fromhex(swapped),
    }


def _base64(text: bytes, offset: int) -> bytes:
    """Return what is always there when this text stands so many bytes into what is encoded."""
    whole = base64.b64encode(b"\0" * offset + text)
    first = -(-offset * 8 // 6)  # the first character that depends on this text alone
    return whole[first : (offset + len(text)) * 8 // 6]
