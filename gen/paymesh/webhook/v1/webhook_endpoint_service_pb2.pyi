from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WebhookEndpointStatusEnum(_message.Message):
    __slots__ = ()
    class WebhookEndpointStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[WebhookEndpointStatusEnum.WebhookEndpointStatus]
        enabled: _ClassVar[WebhookEndpointStatusEnum.WebhookEndpointStatus]
        disabled: _ClassVar[WebhookEndpointStatusEnum.WebhookEndpointStatus]
    unspecified: WebhookEndpointStatusEnum.WebhookEndpointStatus
    enabled: WebhookEndpointStatusEnum.WebhookEndpointStatus
    disabled: WebhookEndpointStatusEnum.WebhookEndpointStatus
    def __init__(self) -> None: ...

class WebhookEndpoint(_message.Message):
    __slots__ = ("id", "url", "enabled_events", "description", "status", "secret", "created", "mode")
    ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    ENABLED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    id: str
    url: str
    enabled_events: _containers.RepeatedScalarFieldContainer[str]
    description: str
    status: WebhookEndpointStatusEnum.WebhookEndpointStatus
    secret: str
    created: int
    mode: _mode_pb2.ModeEnum.Mode
    def __init__(self, id: _Optional[str] = ..., url: _Optional[str] = ..., enabled_events: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., status: _Optional[_Union[WebhookEndpointStatusEnum.WebhookEndpointStatus, str]] = ..., secret: _Optional[str] = ..., created: _Optional[int] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ...) -> None: ...

class CreateWebhookEndpointRequest(_message.Message):
    __slots__ = ("url", "enabled_events", "description")
    URL_FIELD_NUMBER: _ClassVar[int]
    ENABLED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    url: str
    enabled_events: _containers.RepeatedScalarFieldContainer[str]
    description: str
    def __init__(self, url: _Optional[str] = ..., enabled_events: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ...) -> None: ...

class GetWebhookEndpointRequest(_message.Message):
    __slots__ = ("webhook_endpoint_id",)
    WEBHOOK_ENDPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    webhook_endpoint_id: str
    def __init__(self, webhook_endpoint_id: _Optional[str] = ...) -> None: ...

class ListWebhookEndpointsRequest(_message.Message):
    __slots__ = ("limit", "starting_after", "ending_before")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    ENDING_BEFORE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    starting_after: str
    ending_before: str
    def __init__(self, limit: _Optional[int] = ..., starting_after: _Optional[str] = ..., ending_before: _Optional[str] = ...) -> None: ...

class WebhookEndpointList(_message.Message):
    __slots__ = ("data", "has_more")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[WebhookEndpoint]
    has_more: bool
    def __init__(self, data: _Optional[_Iterable[_Union[WebhookEndpoint, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class UpdateWebhookEndpointRequest(_message.Message):
    __slots__ = ("webhook_endpoint_id", "url", "enabled_events", "description", "status")
    WEBHOOK_ENDPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    ENABLED_EVENTS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    webhook_endpoint_id: str
    url: str
    enabled_events: _containers.RepeatedScalarFieldContainer[str]
    description: str
    status: WebhookEndpointStatusEnum.WebhookEndpointStatus
    def __init__(self, webhook_endpoint_id: _Optional[str] = ..., url: _Optional[str] = ..., enabled_events: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., status: _Optional[_Union[WebhookEndpointStatusEnum.WebhookEndpointStatus, str]] = ...) -> None: ...

class DeleteWebhookEndpointRequest(_message.Message):
    __slots__ = ("webhook_endpoint_id",)
    WEBHOOK_ENDPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    webhook_endpoint_id: str
    def __init__(self, webhook_endpoint_id: _Optional[str] = ...) -> None: ...

class DeletedWebhookEndpoint(_message.Message):
    __slots__ = ("id", "deleted")
    ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    id: str
    deleted: bool
    def __init__(self, id: _Optional[str] = ..., deleted: _Optional[bool] = ...) -> None: ...

class RotateWebhookEndpointSecretRequest(_message.Message):
    __slots__ = ("webhook_endpoint_id", "overlap_in_seconds")
    WEBHOOK_ENDPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    webhook_endpoint_id: str
    overlap_in_seconds: int
    def __init__(self, webhook_endpoint_id: _Optional[str] = ..., overlap_in_seconds: _Optional[int] = ...) -> None: ...

class WebhookDeliveryStatusEnum(_message.Message):
    __slots__ = ()
    class WebhookDeliveryStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[WebhookDeliveryStatusEnum.WebhookDeliveryStatus]
        pending: _ClassVar[WebhookDeliveryStatusEnum.WebhookDeliveryStatus]
        succeeded: _ClassVar[WebhookDeliveryStatusEnum.WebhookDeliveryStatus]
        exhausted: _ClassVar[WebhookDeliveryStatusEnum.WebhookDeliveryStatus]
        canceled: _ClassVar[WebhookDeliveryStatusEnum.WebhookDeliveryStatus]
    unspecified: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    pending: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    succeeded: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    exhausted: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    canceled: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    def __init__(self) -> None: ...

class WebhookDelivery(_message.Message):
    __slots__ = ("id", "event_id", "event_type", "status", "next_attempt", "attempts", "created")
    ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    event_id: str
    event_type: str
    status: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    next_attempt: int
    attempts: _containers.RepeatedCompositeFieldContainer[WebhookDeliveryAttempt]
    created: int
    def __init__(self, id: _Optional[str] = ..., event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., status: _Optional[_Union[WebhookDeliveryStatusEnum.WebhookDeliveryStatus, str]] = ..., next_attempt: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[WebhookDeliveryAttempt, _Mapping]]] = ..., created: _Optional[int] = ...) -> None: ...

class WebhookDeliveryAttempt(_message.Message):
    __slots__ = ("created", "duration_ms", "http_status", "error", "response")
    CREATED_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    created: int
    duration_ms: int
    http_status: int
    error: str
    response: str
    def __init__(self, created: _Optional[int] = ..., duration_ms: _Optional[int] = ..., http_status: _Optional[int] = ..., error: _Optional[str] = ..., response: _Optional[str] = ...) -> None: ...

class ListWebhookDeliveriesRequest(_message.Message):
    __slots__ = ("webhook_endpoint_id", "limit", "starting_after", "ending_before", "status")
    WEBHOOK_ENDPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    ENDING_BEFORE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    webhook_endpoint_id: str
    limit: int
    starting_after: str
    ending_before: str
    status: WebhookDeliveryStatusEnum.WebhookDeliveryStatus
    def __init__(self, webhook_endpoint_id: _Optional[str] = ..., limit: _Optional[int] = ..., starting_after: _Optional[str] = ..., ending_before: _Optional[str] = ..., status: _Optional[_Union[WebhookDeliveryStatusEnum.WebhookDeliveryStatus, str]] = ...) -> None: ...

class WebhookDeliveryList(_message.Message):
    __slots__ = ("data", "has_more")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[WebhookDelivery]
    has_more: bool
    def __init__(self, data: _Optional[_Iterable[_Union[WebhookDelivery, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class ReplayWebhookDeliveriesRequest(_message.Message):
    __slots__ = ("webhook_endpoint_id", "event_id", "since", "until")
    WEBHOOK_ENDPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    webhook_endpoint_id: str
    event_id: str
    since: int
    until: int
    def __init__(self, webhook_endpoint_id: _Optional[str] = ..., event_id: _Optional[str] = ..., since: _Optional[int] = ..., until: _Optional[int] = ...) -> None: ...

class ReplayedWebhookDeliveries(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...
