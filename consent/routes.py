"""The endpoints of the authorization server. They read a form, ask the desk and write its answer."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from consent.authorization.forms import Params, check_form, described, read_params
from consent.authorization.metadata import JwkSet, Metadata, metadata
from consent.authorization.par import PushedRequestForm, PushedResponse
from consent.authorization.token import TokenForm, TokenResponse
from consent.config import ConsentConfig
from consent.desk import Desk
from consent.details import to_claims
from consent.errors import NO_STORE, ErrorCode
from consent.ports import Registry

_PUBLIC = {"Cache-Control": "public, max-age=300"}
