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
        capture_overdue: _ClassVar[BreakKindEnum.BreakKind]
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
    capture_overdue: BreakKindEnum.BreakKind
    def __init__(self) -> None: ...

class BreakStatusEnum(_message.Message):
    __slots__ = ()
    class BreakStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[BreakStatusEnum.BreakStatus]
        open: _ClassVar[BreakStatusEnum.BreakStatus]
        resolved: _ClassVar[BreakStatusEnum.BreakStatus]
    unspecified: BreakStatusEnum.BreakStatus
    open: BreakStatusEnum.BreakStatus
    resolved: BreakStatusEnum.BreakStatus
    def __init__(self) -> None: ...

class Break(_message.Message):
    __slots__ = ("id", "kind", "network", "attempt_id", "payment_intent_id", "clearing_line", "our_amount_minor", "their_amount_minor", "currency", "owner", "resolution", "created", "business_date", "age_in_seconds", "proposed_action", "ours", "theirs")
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
    BUSINESS_DATE_FIELD_NUMBER: _ClassVar[int]
    AGE_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_ACTION_FIELD_NUMBER: _ClassVar[int]
    OURS_FIELD_NUMBER: _ClassVar[int]
    THEIRS_FIELD_NUMBER: _ClassVar[int]
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
    business_date: str
    age_in_seconds: int
    proposed_action: str
    ours: OurSide
    theirs: TheirSide
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[BreakKindEnum.BreakKind, str]] = ..., network: _Optional[str] = ..., attempt_id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ..., clearing_line: _Optional[str] = ..., our_amount_minor: _Optional[int] = ..., their_amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., owner: _Optional[str] = ..., resolution: _Optional[_Union[BreakResolution, _Mapping]] = ..., created: _Optional[int] = ..., business_date: _Optional[str] = ..., age_in_seconds: _Optional[int] = ..., proposed_action: _Optional[str] = ..., ours: _Optional[_Union[OurSide, _Mapping]] = ..., theirs: _Optional[_Union[TheirSide, _Mapping]] = ...) -> None: ...

class OurSide(_message.Message):
    __slots__ = ("merchant_id", "payment_intent_id", "attempt_id", "amount_minor", "currency", "status", "reversal", "response_code", "approval_code", "network_trace_id", "stan", "rrn", "created")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REVERSAL_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CODE_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_CODE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    STAN_FIELD_NUMBER: _ClassVar[int]
    RRN_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    payment_intent_id: str
    attempt_id: str
    amount_minor: int
    currency: str
    status: str
    reversal: str
    response_code: str
    approval_code: str
    network_trace_id: str
    stan: str
    rrn: str
    created: int
    def __init__(self, merchant_id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., status: _Optional[str] = ..., reversal: _Optional[str] = ..., response_code: _Optional[str] = ..., approval_code: _Optional[str] = ..., network_trace_id: _Optional[str] = ..., stan: _Optional[str] = ..., rrn: _Optional[str] = ..., created: _Optional[int] = ...) -> None: ...

class TheirSide(_message.Message):
    __slots__ = ("file", "line", "amount_minor", "currency", "network_trace_id", "arn", "rrn", "stan", "approval_code", "local_date")
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    ARN_FIELD_NUMBER: _ClassVar[int]
    RRN_FIELD_NUMBER: _ClassVar[int]
    STAN_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_CODE_FIELD_NUMBER: _ClassVar[int]
    LOCAL_DATE_FIELD_NUMBER: _ClassVar[int]
    file: str
    line: int
    amount_minor: int
    currency: str
    network_trace_id: str
    arn: str
    rrn: str
    stan: str
    approval_code: str
    local_date: str
    def __init__(self, file: _Optional[str] = ..., line: _Optional[int] = ..., amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., network_trace_id: _Optional[str] = ..., arn: _Optional[str] = ..., rrn: _Optional[str] = ..., stan: _Optional[str] = ..., approval_code: _Optional[str] = ..., local_date: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("kind", "network", "include_resolved", "limit", "starting_after", "status", "owner", "business_date_from", "business_date_to")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RESOLVED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    BUSINESS_DATE_FROM_FIELD_NUMBER: _ClassVar[int]
    BUSINESS_DATE_TO_FIELD_NUMBER: _ClassVar[int]
    kind: BreakKindEnum.BreakKind
    network: str
    include_resolved: bool
    limit: int
    starting_after: str
    status: BreakStatusEnum.BreakStatus
    owner: str
    business_date_from: str
    business_date_to: str
    def __init__(self, kind: _Optional[_Union[BreakKindEnum.BreakKind, str]] = ..., network: _Optional[str] = ..., include_resolved: _Optional[bool] = ..., limit: _Optional[int] = ..., starting_after: _Optional[str] = ..., status: _Optional[_Union[BreakStatusEnum.BreakStatus, str]] = ..., owner: _Optional[str] = ..., business_date_from: _Optional[str] = ..., business_date_to: _Optional[str] = ...) -> None: ...

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

class ImportClearingFilesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ImportClearingFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[ClearingFile]
    def __init__(self, files: _Optional[_Iterable[_Union[ClearingFile, _Mapping]]] = ...) -> None: ...

class ClearingFileStatusEnum(_message.Message):
    __slots__ = ()
    class ClearingFileStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ClearingFileStatusEnum.ClearingFileStatus]
        loaded: _ClassVar[ClearingFileStatusEnum.ClearingFileStatus]
        taken: _ClassVar[ClearingFileStatusEnum.ClearingFileStatus]
        refused: _ClassVar[ClearingFileStatusEnum.ClearingFileStatus]
    unspecified: ClearingFileStatusEnum.ClearingFileStatus
    loaded: ClearingFileStatusEnum.ClearingFileStatus
    taken: ClearingFileStatusEnum.ClearingFileStatus
    refused: ClearingFileStatusEnum.ClearingFileStatus
    def __init__(self) -> None: ...

class ClearingFile(_message.Message):
    __slots__ = ("name", "network", "file_id", "business_date", "status", "refusal", "lines", "rejected", "created")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    BUSINESS_DATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    network: str
    file_id: str
    business_date: str
    status: ClearingFileStatusEnum.ClearingFileStatus
    refusal: FileRefusal
    lines: int
    rejected: int
    created: int
    def __init__(self, name: _Optional[str] = ..., network: _Optional[str] = ..., file_id: _Optional[str] = ..., business_date: _Optional[str] = ..., status: _Optional[_Union[ClearingFileStatusEnum.ClearingFileStatus, str]] = ..., refusal: _Optional[_Union[FileRefusal, _Mapping]] = ..., lines: _Optional[int] = ..., rejected: _Optional[int] = ..., created: _Optional[int] = ...) -> None: ...

class FileRefusal(_message.Message):
    __slots__ = ("field", "reason", "record")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    field: str
    reason: str
    record: int
    def __init__(self, field: _Optional[str] = ..., reason: _Optional[str] = ..., record: _Optional[int] = ...) -> None: ...

class GetDailyReportRequest(_message.Message):
    __slots__ = ("business_date",)
    BUSINESS_DATE_FIELD_NUMBER: _ClassVar[int]
    business_date: str
    def __init__(self, business_date: _Optional[str] = ...) -> None: ...

class GetDailyReportResponse(_message.Message):
    __slots__ = ("business_date", "files", "rows")
    BUSINESS_DATE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    business_date: str
    files: _containers.RepeatedCompositeFieldContainer[NetworkFiles]
    rows: _containers.RepeatedCompositeFieldContainer[ReportRow]
    def __init__(self, business_date: _Optional[str] = ..., files: _Optional[_Iterable[_Union[NetworkFiles, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[ReportRow, _Mapping]]] = ...) -> None: ...

class NetworkFiles(_message.Message):
    __slots__ = ("network", "taken", "refused", "rejected_records")
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    network: str
    taken: int
    refused: int
    rejected_records: int
    def __init__(self, network: _Optional[str] = ..., taken: _Optional[int] = ..., refused: _Optional[int] = ..., rejected_records: _Optional[int] = ...) -> None: ...

class LineSum(_message.Message):
    __slots__ = ("lines", "amount_minor")
    LINES_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    lines: int
    amount_minor: int
    def __init__(self, lines: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class ReportRow(_message.Message):
    __slots__ = ("network", "currency", "declared", "matched", "waiting", "rejected", "breaks")
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    BREAKS_FIELD_NUMBER: _ClassVar[int]
    network: str
    currency: str
    declared: LineSum
    matched: LineSum
    waiting: LineSum
    rejected: LineSum
    breaks: _containers.RepeatedCompositeFieldContainer[BreakSum]
    def __init__(self, network: _Optional[str] = ..., currency: _Optional[str] = ..., declared: _Optional[_Union[LineSum, _Mapping]] = ..., matched: _Optional[_Union[LineSum, _Mapping]] = ..., waiting: _Optional[_Union[LineSum, _Mapping]] = ..., rejected: _Optional[_Union[LineSum, _Mapping]] = ..., breaks: _Optional[_Iterable[_Union[BreakSum, _Mapping]]] = ...) -> None: ...

class BreakSum(_message.Message):
    __slots__ = ("kind", "count", "open_count", "theirs", "ours_minor")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OPEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    THEIRS_FIELD_NUMBER: _ClassVar[int]
    OURS_MINOR_FIELD_NUMBER: _ClassVar[int]
    kind: BreakKindEnum.BreakKind
    count: int
    open_count: int
    theirs: LineSum
    ours_minor: int
    def __init__(self, kind: _Optional[_Union[BreakKindEnum.BreakKind, str]] = ..., count: _Optional[int] = ..., open_count: _Optional[int] = ..., theirs: _Optional[_Union[LineSum, _Mapping]] = ..., ours_minor: _Optional[int] = ...) -> None: ...
