from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.txn.v1 import attempt_pb2 as _attempt_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InquireAttemptRequest(_message.Message):
    __slots__ = ("merchant_id", "attempt_id")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    attempt_id: str
    def __init__(self, merchant_id: _Optional[str] = ..., attempt_id: _Optional[str] = ...) -> None: ...

class InquiryOutcomeEnum(_message.Message):
    __slots__ = ()
    class InquiryOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[InquiryOutcomeEnum.InquiryOutcome]
        approved: _ClassVar[InquiryOutcomeEnum.InquiryOutcome]
        declined: _ClassVar[InquiryOutcomeEnum.InquiryOutcome]
        not_found: _ClassVar[InquiryOutcomeEnum.InquiryOutcome]
        no_answer: _ClassVar[InquiryOutcomeEnum.InquiryOutcome]
    unspecified: InquiryOutcomeEnum.InquiryOutcome
    approved: InquiryOutcomeEnum.InquiryOutcome
    declined: InquiryOutcomeEnum.InquiryOutcome
    not_found: InquiryOutcomeEnum.InquiryOutcome
    no_answer: InquiryOutcomeEnum.InquiryOutcome
    def __init__(self) -> None: ...

class InquireAttemptResponse(_message.Message):
    __slots__ = ("outcome", "answer")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    outcome: InquiryOutcomeEnum.InquiryOutcome
    answer: NetworkAnswer
    def __init__(self, outcome: _Optional[_Union[InquiryOutcomeEnum.InquiryOutcome, str]] = ..., answer: _Optional[_Union[NetworkAnswer, _Mapping]] = ...) -> None: ...

class NetworkAnswer(_message.Message):
    __slots__ = ("response_code", "amount_in_cents", "approval_code", "network_trace_id", "currency_number")
    RESPONSE_CODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_CODE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    response_code: str
    amount_in_cents: int
    approval_code: str
    network_trace_id: str
    currency_number: str
    def __init__(self, response_code: _Optional[str] = ..., amount_in_cents: _Optional[int] = ..., approval_code: _Optional[str] = ..., network_trace_id: _Optional[str] = ..., currency_number: _Optional[str] = ...) -> None: ...

class ReversalReasonEnum(_message.Message):
    __slots__ = ()
    class ReversalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ReversalReasonEnum.ReversalReason]
        customer_cancellation: _ClassVar[ReversalReasonEnum.ReversalReason]
        response_too_late: _ClassVar[ReversalReasonEnum.ReversalReason]
        response_timeout: _ClassVar[ReversalReasonEnum.ReversalReason]
        invalid_response: _ClassVar[ReversalReasonEnum.ReversalReason]
    unspecified: ReversalReasonEnum.ReversalReason
    customer_cancellation: ReversalReasonEnum.ReversalReason
    response_too_late: ReversalReasonEnum.ReversalReason
    response_timeout: ReversalReasonEnum.ReversalReason
    invalid_response: ReversalReasonEnum.ReversalReason
    def __init__(self) -> None: ...

class ReverseAttemptRequest(_message.Message):
    __slots__ = ("merchant_id", "attempt_id", "reason")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    attempt_id: str
    reason: ReversalReasonEnum.ReversalReason
    def __init__(self, merchant_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., reason: _Optional[_Union[ReversalReasonEnum.ReversalReason, str]] = ...) -> None: ...

class ReverseAttemptResponse(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: _attempt_pb2.Attempt
    def __init__(self, attempt: _Optional[_Union[_attempt_pb2.Attempt, _Mapping]] = ...) -> None: ...

class ResolutionEnum(_message.Message):
    __slots__ = ()
    class Resolution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ResolutionEnum.Resolution]
        succeeded: _ClassVar[ResolutionEnum.Resolution]
        failed: _ClassVar[ResolutionEnum.Resolution]
    unspecified: ResolutionEnum.Resolution
    succeeded: ResolutionEnum.Resolution
    failed: ResolutionEnum.Resolution
    def __init__(self) -> None: ...

class ResolveAttemptRequest(_message.Message):
    __slots__ = ("merchant_id", "attempt_id", "resolution", "answer")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    attempt_id: str
    resolution: ResolutionEnum.Resolution
    answer: NetworkAnswer
    def __init__(self, merchant_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., resolution: _Optional[_Union[ResolutionEnum.Resolution, str]] = ..., answer: _Optional[_Union[NetworkAnswer, _Mapping]] = ...) -> None: ...

class ResolveAttemptResponse(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: _attempt_pb2.Attempt
    def __init__(self, attempt: _Optional[_Union[_attempt_pb2.Attempt, _Mapping]] = ...) -> None: ...

class CountAttemptsRequest(_message.Message):
    __slots__ = ("created_from", "created_until")
    CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    created_from: int
    created_until: int
    def __init__(self, created_from: _Optional[int] = ..., created_until: _Optional[int] = ...) -> None: ...

class CountAttemptsResponse(_message.Message):
    __slots__ = ("recorded",)
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    recorded: int
    def __init__(self, recorded: _Optional[int] = ...) -> None: ...
