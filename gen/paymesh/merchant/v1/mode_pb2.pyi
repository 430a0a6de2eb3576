from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ModeEnum(_message.Message):
    __slots__ = ()
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ModeEnum.Mode]
        test: _ClassVar[ModeEnum.Mode]
        live: _ClassVar[ModeEnum.Mode]
    unspecified: ModeEnum.Mode
    test: ModeEnum.Mode
    live: ModeEnum.Mode
    def __init__(self) -> None: ...
