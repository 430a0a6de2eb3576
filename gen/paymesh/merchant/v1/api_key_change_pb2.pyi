from paymesh.merchant.v1 import api_key_rights_pb2 as _api_key_rights_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApiKeyChange(_message.Message):
    __slots__ = ("number", "api_key_id", "action", "requested_by", "created", "expires", "rights", "networks", "other_api_key_id")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    OTHER_API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    number: int
    api_key_id: str
    action: ApiKeyActionEnum.ApiKeyAction
    requested_by: str
    created: int
    expires: int
    rights: _api_key_rights_pb2.ApiKeyRights
    networks: _api_key_rights_pb2.ApiKeyNetworks
    other_api_key_id: str
    def __init__(self, number: _Optional[int] = ..., api_key_id: _Optional[str] = ..., action: _Optional[_Union[ApiKeyActionEnum.ApiKeyAction, str]] = ..., requested_by: _Optional[str] = ..., created: _Optional[int] = ..., expires: _Optional[int] = ..., rights: _Optional[_Union[_api_key_rights_pb2.ApiKeyRights, _Mapping]] = ..., networks: _Optional[_Union[_api_key_rights_pb2.ApiKeyNetworks, _Mapping]] = ..., other_api_key_id: _Optional[str] = ...) -> None: ...

class ApiKeyActionEnum(_message.Message):
    __slots__ = ()
    class ApiKeyAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ApiKeyActionEnum.ApiKeyAction]
        created: _ClassVar[ApiKeyActionEnum.ApiKeyAction]
        rolled: _ClassVar[ApiKeyActionEnum.ApiKeyAction]
        restricted: _ClassVar[ApiKeyActionEnum.ApiKeyAction]
        revoked: _ClassVar[ApiKeyActionEnum.ApiKeyAction]
    unspecified: ApiKeyActionEnum.ApiKeyAction
    created: ApiKeyActionEnum.ApiKeyAction
    rolled: ApiKeyActionEnum.ApiKeyAction
    restricted: ApiKeyActionEnum.ApiKeyAction
    revoked: ApiKeyActionEnum.ApiKeyAction
    def __init__(self) -> None: ...
