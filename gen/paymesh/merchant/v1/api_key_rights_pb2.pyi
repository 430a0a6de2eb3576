from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApiKeyRights(_message.Message):
    __slots__ = ("permissions",)
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    permissions: _containers.RepeatedCompositeFieldContainer[ApiKeyPermission]
    def __init__(self, permissions: _Optional[_Iterable[_Union[ApiKeyPermission, _Mapping]]] = ...) -> None: ...

class ApiKeyPermission(_message.Message):
    __slots__ = ("resource", "access")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    resource: ResourceEnum.Resource
    access: AccessEnum.Access
    def __init__(self, resource: _Optional[_Union[ResourceEnum.Resource, str]] = ..., access: _Optional[_Union[AccessEnum.Access, str]] = ...) -> None: ...

class ApiKeyNetworks(_message.Message):
    __slots__ = ("cidrs",)
    CIDRS_FIELD_NUMBER: _ClassVar[int]
    cidrs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cidrs: _Optional[_Iterable[str]] = ...) -> None: ...

class ResourceEnum(_message.Message):
    __slots__ = ()
    class Resource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ResourceEnum.Resource]
        payment_intents: _ClassVar[ResourceEnum.Resource]
        transactions: _ClassVar[ResourceEnum.Resource]
        webhook_endpoints: _ClassVar[ResourceEnum.Resource]
        events: _ClassVar[ResourceEnum.Resource]
        card_tokens: _ClassVar[ResourceEnum.Resource]
    unspecified: ResourceEnum.Resource
    payment_intents: ResourceEnum.Resource
    transactions: ResourceEnum.Resource
    webhook_endpoints: ResourceEnum.Resource
    events: ResourceEnum.Resource
    card_tokens: ResourceEnum.Resource
    def __init__(self) -> None: ...

class AccessEnum(_message.Message):
    __slots__ = ()
    class Access(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[AccessEnum.Access]
        read: _ClassVar[AccessEnum.Access]
        read_write: _ClassVar[AccessEnum.Access]
    unspecified: AccessEnum.Access
    read: AccessEnum.Access
    read_write: AccessEnum.Access
    def __init__(self) -> None: ...
