from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BreakKindEnum(_message.Message):
    __slots__ = ()
    class BreakKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[BreakKindEnum.BreakKind]
        missing_at_network: _ClassVar[BreakKindEnum.BreakKind]
        missing_at_us: _ClassVar[BreakKindEnum.BreakKind]
        amount_over: _ClassVar[BreakKindEnum.BreakKind]
        amount_under: _ClassVar[BreakKindEnum.BreakKind]
        currency_mismatch: _ClassVar[BreakKindEnum.BreakKind]
        duplicate_line: _ClassVar[BreakKindEnum.BreakKind]
        presentment_without_authorization: _ClassVar[BreakKindEnum.BreakKind]
        presentment_after_reversal: _ClassVar[BreakKindEnum.BreakKind]
        reversal_overdue: _ClassVar[BreakKindEnum.BreakKind]
        late_file: _ClassVar[BreakKindEnum.BreakKind]
    unspecified: BreakKindEnum.BreakKind
    missing_at_network: BreakKindEnum.BreakKind
    missing_at_us: BreakKindEnum.BreakKind
    amount_over: BreakKindEnum.BreakKind
    amount_under: BreakKindEnum.BreakKind
    currency_mismatch: BreakKindEnum.BreakKind
    duplicate_line: BreakKindEnum.BreakKind
    presentment_without_authorization: BreakKindEnum.BreakKind
    presentment_after_reversal: BreakKindEnum.BreakKind
    reversal_overdue: BreakKindEnum.BreakKind
    late_file: BreakKindEnum.BreakKind
    def __init__(self) -> None: ...

class Break(_message.Message):
    __slots__ = ("id", "kind", "network", "attempt_id", "payment_intent_id", "clearing_line", "our_amount_minor", "their_amount_minor", "currency", "owner", "resolution", "created")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLEARING_LINE_FIELD_NUMBER: _ClassVar[int]
    OUR_AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    THEIR_AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: BreakKindEnum.BreakKind
    network: str
    attempt_id: str
    payment_intent_id: str
    clearing_line: str
    our_amount_minor: int
    their_amount_minor: int
    currency: str
    owner: str
    resolution: BreakResolution
    created: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[BreakKindEnum.BreakKind, str]] = ..., network: _Optional[str] = ..., attempt_id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ..., clearing_line: _Optional[str] = ..., our_amount_minor: _Optional[int] = ..., their_amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., owner: _Optional[str] = ..., resolution: _Optional[_Union[BreakResolution, _Mapping]] = ..., created: _Optional[int] = ...) -> None: ...

class BreakResolution(_message.Message):
    __slots__ = ("resolved_by", "reason", "created")
    RESOLVED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    resolved_by: str
    reason: str
    created: int
    def __init__(self, resolved_by: _Optional[str] = ..., reason: _Optional[str] = ..., created: _Optional[int] = ...) -> None: ...

class ListBreaksRequest(_message.Message):
    __slots__ = ("kind", "network", "include_resolved", "limit", "starting_after")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RESOLVED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    kind: BreakKindEnum.BreakKind
    network: str
    include_resolved: bool
    limit: int
    starting_after: str
    def __init__(self, kind: _Optional[_Union[BreakKindEnum.BreakKind, str]] = ..., network: _Optional[str] = ..., include_resolved: _Optional[bool] = ..., limit: _Optional[int] = ..., starting_after: _Optional[str] = ...) -> None: ...

class ListBreaksResponse(_message.Message):
    __slots__ = ("breaks", "has_more")
    BREAKS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    breaks: _containers.RepeatedCompositeFieldContainer[Break]
    has_more: bool
    def __init__(self, breaks: _Optional[_Iterable[_Union[Break, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class AssignBreakRequest(_message.Message):
    __slots__ = ("break_id", "owner")
    BREAK_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    break_id: str
    owner: str
    def __init__(self, break_id: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class AssignBreakResponse(_message.Message):
    __slots__ = ("assigned_break",)
    ASSIGNED_BREAK_FIELD_NUMBER: _ClassVar[int]
    assigned_break: Break
    def __init__(self, assigned_break: _Optional[_Union[Break, _Mapping]] = ...) -> None: ...

class ResolveBreakRequest(_message.Message):
    __slots__ = ("break_id", "resolved_by", "reason")
    BREAK_ID_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    break_id: str
    resolved_by: str
    reason: str
    def __init__(self, break_id: _Optional[str] = ..., resolved_by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ResolveBreakResponse(_message.Message):
    __slots__ = ("resolved_break",)
    RESOLVED_BREAK_FIELD_NUMBER: _ClassVar[int]
    resolved_break: Break
    def __init__(self, resolved_break: _Optional[_Union[Break, _Mapping]] = ...) -> None: ...
