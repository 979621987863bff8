"""What a client can send to have a connection of Unified.to begun, imported or changed.

Names are Unified.to's own, so that its documentation applies word for word.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = str | None
Texts = tuple[str, ...]
Json = dict[str, Any]


class Input(msgspec.Struct, frozen=True):
    """The base of the input records; an absent field is None."""


class UnifiedToAuthorizationInput(Input, frozen=True, kw_only=True):
    """How a customer is asked to authorize a connection, at an address that Unified.to makes for it."""

    success_redirect: Annotated[
        Text,
        Meta(description="Where the customer is led afterwards; the id of the new connection is appended as `id`."),
    ] = None
    failure_redirect: Annotated[
        Text, Meta(description="Where the customer is led if it came to nothing; `error` is appended.")
    ] = None
    scopes: Annotated[
        Texts | None, Meta(description="Permissions to ask the customer for, such as crm_contact_read.")
    ] = None
    state: Annotated[Text, Meta(description="A text that comes back with successRedirect.")] = None
    lang: Annotated[Text, Meta(description="Language of the pages: en, fr, es, it, pt, zh or hi.")] = None
    subdomain: Annotated[
        Text, Meta(description="The customer's own domain at the integration, where its addresses take one.")
    ] = None


class UnifiedToCredentialsInput(Input, frozen=True, kw_only=True):
    """Credentials of a customer that are at hand, to be imported. They are passed on and neither kept nor shown."""

    categories: Annotated[Texts, Meta(description="What the connection is for, such as crm; at least one.")]
    permissions: Annotated[Texts, Meta(description="What the credentials permit, such as crm_contact_read.")]
    auth: Annotated[
        Json,
        Meta(
            description=(
                "The credentials, by Unified.to's names of them (`PropertyConnectionAuth`), such as access_token and "
                "refresh_token."
            )
        ),
    ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class UnifiedToConnectionCreate(Input, frozen=True, kw_only=True):
    """A connection to an integration: an address at which the customer authorizes it, or an import of credentials."""

    integration_type: Annotated[str, Meta(description="Type of the integration, such as hubspot.")]
    environment: Annotated[
        Text,
        Meta(description="Where it is to be: an environment of this instance; Production where it has it, or its one."),
    ] = None
    external_xref: Annotated[Text, Meta(description="Your own id of the customer.")] = None
    authorization: Annotated[
        UnifiedToAuthorizationInput | None,
        Meta(description="Let the customer authorize it; the answer is an address, and no connection yet."),
    ] = None
    credentials: Annotated[
        UnifiedToCredentialsInput | None,
        Meta(description="Import credentials instead, where who operates the gateway allows it."),
    ] = None


class UnifiedToConnectionUpdate(Input, frozen=True, kw_only=True):
    """What is to change of a connection of Unified.to. What is left out stays as it is; null clears externalXref, and
    nothing else can be cleared."""

    external_xref: Annotated[Text | UnsetType, Meta(description="Your own id of the customer.")] = UNSET
    environment: Annotated[
        Text | UnsetType, Meta(description="Where it is to be: another environment of this instance.")
    ] = UNSET
    categories: Annotated[
        Texts | UnsetType | None, Meta(description="What the connection is for, such as crm; at least one.")
    ] = UNSET
    permissions: Annotated[
        Texts | UnsetType | None, Meta(description="What it may do, such as crm_contact_read: all of it.")
    ] = UNSET


def query(
    environment: str, given: UnifiedToConnectionCreate, how: UnifiedToAuthorizationInput
) -> list[tuple[str, str]]:
    """The query of ``/unified/integration/auth``. Without ``redirect``, which would answer with a page for people."""
    asked: Sequence[tuple[str, Text]] = (
        ("env", environment),
        ("external_xref", given.external_xref),
        ("success_redirect", how.success_redirect),
        ("failure_redirect", how.failure_redirect),
        *(("scopes", scope) for scope in how.scopes or ()),
        ("state", how.state),
        ("lang", how.lang),
        ("subdomain", how.subdomain),
    )
    return [(name, value) for name, value in asked if value]


def body(environment: str, given: UnifiedToConnectionCreate, imported: UnifiedToCredentialsInput) -> Json:
    """The ``Connection`` that is posted to import credentials."""
    made: Json = {
        "integration_type": given.integration_type,
        "environment": environment,
        "external_xref": given.external_xref,
        "categories": list(imported.categories),
        "permissions": list(imported.permissions),
        "auth": imported.auth,
    }
    return {name: value for name, value in made.items() if value is not None}


def changes(given: UnifiedToConnectionUpdate) -> Json:
    """By Unified.to's names, what is to become of the fields that are given. An empty text is what clears one."""
    values = {name: getattr(given, name) for name in given.__struct_fields__}
    return {name: _written(value) for name, value in values.items() if value is not UNSET}


def _written(value: str | Texts | None) -> str | list[str]:
    return list(value) if isinstance(value, tuple) else value or ""
