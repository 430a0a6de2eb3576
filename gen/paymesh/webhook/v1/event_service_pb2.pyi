from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.intent.v1 import payment_intent_pb2 as _payment_intent_pb2
from paymesh.intent.v1 import payment_intent_service_pb2 as _payment_intent_service_pb2
from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("id", "type", "created", "data", "mode")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    created: int
    data: EventData
    mode: _mode_pb2.ModeEnum.Mode
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., created: _Optional[int] = ..., data: _Optional[_Union[EventData, _Mapping]] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ...) -> None: ...

class EventData(_message.Message):
    __slots__ = ("object", "version")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    object: _payment_intent_pb2.PaymentIntent
    version: int
    def __init__(self, object: _Optional[_Union[_payment_intent_pb2.PaymentIntent, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class GetEventRequest(_message.Message):
    __slots__ = ("event_id",)
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    def __init__(self, event_id: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("limit", "starting_after", "ending_before", "type", "created")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    ENDING_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    limit: int
    starting_after: str
    ending_before: str
    type: str
    created: _payment_intent_service_pb2.CreatedRange
    def __init__(self, limit: _Optional[int] = ..., starting_after: _Optional[str] = ..., ending_before: _Optional[str] = ..., type: _Optional[str] = ..., created: _Optional[_Union[_payment_intent_service_pb2.CreatedRange, _Mapping]] = ...) -> None: ...

class EventList(_message.Message):
    __slots__ = ("data", "has_more")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[Event]
    has_more: bool
    def __init__(self, data: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...
