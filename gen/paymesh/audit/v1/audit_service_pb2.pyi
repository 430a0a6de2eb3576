from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetPaymentHistoryRequest(_message.Message):
    __slots__ = ("payment_intent_id",)
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    def __init__(self, payment_intent_id: _Optional[str] = ...) -> None: ...

class GetPaymentHistoryResponse(_message.Message):
    __slots__ = ("changes", "rows")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[RowChange]
    rows: _containers.RepeatedCompositeFieldContainer[RebuiltRow]
    def __init__(self, changes: _Optional[_Iterable[_Union[RowChange, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[RebuiltRow, _Mapping]]] = ...) -> None: ...

class RowChange(_message.Message):
    __slots__ = ("service", "table", "row_id", "action", "committed_us", "transaction_id", "log_position", "fields", "topic", "partition", "offset", "is_archived")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ROW_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_US_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    LOG_POSITION_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    IS_ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    service: str
    table: str
    row_id: str
    action: str
    committed_us: int
    transaction_id: int
    log_position: int
    fields: _containers.RepeatedCompositeFieldContainer[FieldChange]
    topic: str
    partition: int
    offset: int
    is_archived: bool
    def __init__(self, service: _Optional[str] = ..., table: _Optional[str] = ..., row_id: _Optional[str] = ..., action: _Optional[str] = ..., committed_us: _Optional[int] = ..., transaction_id: _Optional[int] = ..., log_position: _Optional[int] = ..., fields: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., is_archived: _Optional[bool] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("name", "before", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: str
    after: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class RebuiltRow(_message.Message):
    __slots__ = ("service", "table", "row_id", "values", "gap", "is_purged", "is_archived", "reread")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ROW_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    IS_PURGED_FIELD_NUMBER: _ClassVar[int]
    IS_ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    REREAD_FIELD_NUMBER: _ClassVar[int]
    service: str
    table: str
    row_id: str
    values: str
    gap: str
    is_purged: bool
    is_archived: bool
    reread: str
    def __init__(self, service: _Optional[str] = ..., table: _Optional[str] = ..., row_id: _Optional[str] = ..., values: _Optional[str] = ..., gap: _Optional[str] = ..., is_purged: _Optional[bool] = ..., is_archived: _Optional[bool] = ..., reread: _Optional[str] = ...) -> None: ...

class ListPaymentRowsRequest(_message.Message):
    __slots__ = ("payment_intent_ids", "since_ms", "until_ms")
    PAYMENT_INTENT_IDS_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    payment_intent_ids: _containers.RepeatedScalarFieldContainer[str]
    since_ms: int
    until_ms: int
    def __init__(self, payment_intent_ids: _Optional[_Iterable[str]] = ..., since_ms: _Optional[int] = ..., until_ms: _Optional[int] = ...) -> None: ...

class ListPaymentRowsResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[RebuiltRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[RebuiltRow, _Mapping]]] = ...) -> None: ...

class VerifyArchiveRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyArchiveResponse(_message.Message):
    __slots__ = ("partitions", "files", "records", "proved_until_ms", "broken_links")
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    PROVED_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    BROKEN_LINKS_FIELD_NUMBER: _ClassVar[int]
    partitions: int
    files: int
    records: int
    proved_until_ms: int
    broken_links: _containers.RepeatedCompositeFieldContainer[BrokenLink]
    def __init__(self, partitions: _Optional[int] = ..., files: _Optional[int] = ..., records: _Optional[int] = ..., proved_until_ms: _Optional[int] = ..., broken_links: _Optional[_Iterable[_Union[BrokenLink, _Mapping]]] = ...) -> None: ...

class BrokenLink(_message.Message):
    __slots__ = ("file", "reason")
    FILE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    file: str
    reason: str
    def __init__(self, file: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
