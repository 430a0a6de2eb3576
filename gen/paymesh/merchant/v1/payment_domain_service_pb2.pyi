from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PaymentDomain(_message.Message):
    __slots__ = ("domain", "created")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    domain: str
    created: int
    def __init__(self, domain: _Optional[str] = ..., created: _Optional[int] = ...) -> None: ...

class AddPaymentDomainRequest(_message.Message):
    __slots__ = ("merchant_id", "domain")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    domain: str
    def __init__(self, merchant_id: _Optional[str] = ..., domain: _Optional[str] = ...) -> None: ...

class AddPaymentDomainResponse(_message.Message):
    __slots__ = ("payment_domain",)
    PAYMENT_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    payment_domain: PaymentDomain
    def __init__(self, payment_domain: _Optional[_Union[PaymentDomain, _Mapping]] = ...) -> None: ...

class ListPaymentDomainsRequest(_message.Message):
    __slots__ = ("merchant_id",)
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    def __init__(self, merchant_id: _Optional[str] = ...) -> None: ...

class ListPaymentDomainsResponse(_message.Message):
    __slots__ = ("payment_domains",)
    PAYMENT_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    payment_domains: _containers.RepeatedCompositeFieldContainer[PaymentDomain]
    def __init__(self, payment_domains: _Optional[_Iterable[_Union[PaymentDomain, _Mapping]]] = ...) -> None: ...

class RemovePaymentDomainRequest(_message.Message):
    __slots__ = ("merchant_id", "domain")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    domain: str
    def __init__(self, merchant_id: _Optional[str] = ..., domain: _Optional[str] = ...) -> None: ...

class RemovePaymentDomainResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
