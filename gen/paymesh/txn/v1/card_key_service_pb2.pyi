from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CountCardKeyRowsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountCardKeyRowsResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[CardKeyRows]
    def __init__(self, keys: _Optional[_Iterable[_Union[CardKeyRows, _Mapping]]] = ...) -> None: ...

class CardKeyRows(_message.Message):
    __slots__ = ("kid", "rows")
    KID_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    kid: str
    rows: int
    def __init__(self, kid: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class RetireCardKeyRequest(_message.Message):
    __slots__ = ("kid",)
    KID_FIELD_NUMBER: _ClassVar[int]
    kid: str
    def __init__(self, kid: _Optional[str] = ...) -> None: ...

class RetireCardKeyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
