"""Messages as the public JSON shows them: exactly as the edge's transcoder prints them."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def to_public_json(message: Message) -> dict[str, Any]:
    """Return the object: names in lowerCamelCase, defaults printed, absent optionals left out."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)
