"""What only Airbyte knows of a connection: its member of the graph's ``details`` union.

Enums that grow upstream are texts here, in Airbyte's own words.
"""

from typing import Annotated, Any

from msgspec import Meta

from adapters.model import Interval, Record

Text = str | None
Flag = bool | None
Texts = tuple[str, ...] | None
Path = tuple[str, ...]
Json = Any


class AirbyteStream(Record, frozen=True, kw_only=True):
    """A stream as the source offers it."""

    name: Annotated[Text, Meta(description="The stream's name, such as a table's.")] = None
    namespace: Annotated[Text, Meta(description="The source's namespace for it, such as a database schema.")] = None
    json_schema: Annotated[Json, Meta(description="JSON Schema of its records.")] = None
    supported_sync_modes: Annotated[Texts, Meta(description="full_refresh, incremental.")] = None
    source_defined_cursor: Annotated[Flag, Meta(description="Whether the source itself picks the cursor field.")] = None
    default_cursor_field: Annotated[
        Path | None, Meta(description="Path of the field that tells new records, where nobody picks another.")
    ] = None
    source_defined_primary_key: Annotated[
        tuple[Path, ...] | None, Meta(description="Paths of the primary key, where the source defines it.")
    ] = None


class AirbyteSelectedField(Record, frozen=True, kw_only=True):
    """A field that is synced."""

    field_path: Annotated[Path, Meta(description="Path of the field in a record.")] = ()


class AirbyteStreamConfig(Record, frozen=True, kw_only=True):
    """How a stream is synced."""

    sync_mode: Annotated[Text, Meta(description="full_refresh or incremental.")] = None
    destination_sync_mode: Annotated[Text, Meta(description="append, overwrite, append_dedup, or a later word.")] = None
    cursor_field: Annotated[Path | None, Meta(description="Path of the field that tells new records.")] = None
    primary_key: Annotated[tuple[Path, ...] | None, Meta(description="Paths of the primary key.")] = None
    alias_name: Annotated[Text, Meta(description="The stream's name in the destination.")] = None
    selected: Annotated[Flag, Meta(description="Whether the stream is synced at all.")] = None
    suggested: Annotated[Flag, Meta(description="Whether the connector suggests to sync it.")] = None
    field_selection_enabled: Annotated[Flag, Meta(description="Whether only `selectedFields` are synced.")] = None
    selected_fields: Annotated[
        tuple[AirbyteSelectedField, ...] | None, Meta(description="The fields that are synced.")
    ] = None


class AirbyteConfiguredStream(Record, frozen=True, kw_only=True):
    """A stream with its configuration."""

    stream: Annotated[AirbyteStream | None, Meta(description="The stream as the source offers it.")] = None
    config: Annotated[AirbyteStreamConfig | None, Meta(description="How it is synced.")] = None


class AirbyteCatalog(Record, frozen=True, kw_only=True):
    """What a connection syncs."""

    streams: Annotated[
        tuple[AirbyteConfiguredStream, ...], Meta(description="Its streams, synced or not, in Airbyte's order.")
    ] = ()


class AirbyteFieldTransform(Record, frozen=True, kw_only=True):
    """A change of one field of a stream's schema."""

    transform_type: Annotated[Text, Meta(description="add_field, remove_field or update_field_schema.")] = None
    field_name: Annotated[Path, Meta(description="Path of the field.")] = ()
    breaking: Annotated[Flag, Meta(description="Whether the connection cannot go on as it is.")] = None
    added_schema: Annotated[Json, Meta(description="JSON Schema of an added field.")] = None
    removed_schema: Annotated[Json, Meta(description="JSON Schema of a removed field.")] = None
    old_schema: Annotated[Json, Meta(description="JSON Schema of a changed field before the change.")] = None
    new_schema: Annotated[Json, Meta(description="JSON Schema of a changed field after the change.")] = None


class AirbyteStreamTransform(Record, frozen=True, kw_only=True):
    """A change of one stream."""

    transform_type: Annotated[Text, Meta(description="add_stream, remove_stream or update_stream.")] = None
    stream_name: Annotated[Text, Meta(description="The stream that changed.")] = None
    stream_namespace: Annotated[Text, Meta(description="Its namespace.")] = None
    field_transforms: Annotated[
        tuple[AirbyteFieldTransform, ...], Meta(description="Changes of its fields, in no particular order.")
    ] = ()


class AirbyteCatalogDiff(Record, frozen=True, kw_only=True):
    """How the source's schema differs from what the connection was set up for."""

    transforms: Annotated[
        tuple[AirbyteStreamTransform, ...], Meta(description="The changes, in no particular order.")
    ] = ()


class AirbyteOperation(Record, frozen=True, kw_only=True):
    """What is done after a sync. URLs and bodies of webhooks are never read: they carry credentials."""

    operation_id: Annotated[Text, Meta(description="Its id.")] = None
    name: Annotated[Text, Meta(description="Its name.")] = None
    workspace_id: Annotated[Text, Meta(description="The workspace it belongs to.")] = None
    operator_type: Annotated[Text, Meta(description="normalization, dbt or webhook.")] = None
    normalization_option: Annotated[Text, Meta(description="Of a normalization: basic.")] = None
    dbt_git_repo_url: Annotated[Text, Meta(description="Of dbt: its repository, without user and password.")] = None
    dbt_git_repo_branch: Annotated[Text, Meta(description="Of dbt: the branch.")] = None
    dbt_docker_image: Annotated[Text, Meta(description="Of dbt: the image it runs in.")] = None
    dbt_arguments: Annotated[Text, Meta(description="Of dbt: its command line, with credentials masked.")] = None
    webhook_config_id: Annotated[Text, Meta(description="Of a webhook: its configuration in the workspace.")] = None
    webhook_type: Annotated[Text, Meta(description="Of a webhook: dbtCloud.")] = None
    dbt_cloud_account_id: Annotated[int | None, Meta(description="Of a dbt Cloud webhook: the account.")] = None
    dbt_cloud_job_id: Annotated[int | None, Meta(description="Of a dbt Cloud webhook: the job.")] = None


class AirbyteResourceRequirements(Record, frozen=True, kw_only=True):
    """Kubernetes quantities for the connection's own workers."""

    cpu_request: Annotated[Text, Meta(description="CPU asked for, such as 0.25.")] = None
    cpu_limit: Annotated[Text, Meta(description="CPU at the most.")] = None
    memory_request: Annotated[Text, Meta(description="Memory asked for, such as 512Mi.")] = None
    memory_limit: Annotated[Text, Meta(description="Memory at the most.")] = None


class AirbyteConnection(Record, frozen=True, kw_only=True):
    """What only Airbyte knows of a connection. Fields marked (full record) cost one more call for each connection."""

    raw_status: Annotated[Text, Meta(description="Airbyte's own status: active, inactive, deprecated, locked.")] = None
    raw_latest_sync_job_status: Annotated[
        Text, Meta(description="Airbyte's own status of the latest sync job, absent where there was none.")
    ] = None
    raw_schedule_type: Annotated[Text, Meta(description="Airbyte's own schedule type: manual, basic or cron.")] = None
    raw_schema_change: Annotated[Text, Meta(description="no_change, non_breaking or breaking.")] = None
    is_syncing: Annotated[Flag, Meta(description="Whether a job runs now.")] = None
    source_definition_id: Annotated[Text, Meta(description="The source's connector definition.")] = None
    destination_definition_id: Annotated[Text, Meta(description="The destination's connector definition.")] = None
    namespace_definition: Annotated[
        Text, Meta(description="Where streams land: source, destination or customformat. (full record)")
    ] = None
    namespace_format: Annotated[Text, Meta(description="The format of a customformat namespace. (full record)")] = None
    prefix: Annotated[Text, Meta(description="Put before each stream's name in the destination. (full record)")] = None
    sync_catalog: Annotated[AirbyteCatalog | None, Meta(description="What is synced, and how. (full record)")] = None
    legacy_schedule: Annotated[
        Interval | None, Meta(description="The schedule in its old form, where it is still kept. (full record)")
    ] = None
    operation_ids: Annotated[Texts, Meta(description="Ids of what is done after a sync. (full record)")] = None
    operations: Annotated[
        tuple[AirbyteOperation, ...] | None, Meta(description="What is done after a sync. (full record)")
    ] = None
    resource_requirements: Annotated[
        AirbyteResourceRequirements | None, Meta(description="What its workers may use. (full record)")
    ] = None
    catalog_id: Annotated[Text, Meta(description="Id of the discovered catalog it is based on. (full record)")] = None
    catalog_diff: Annotated[
        AirbyteCatalogDiff | None,
        Meta(description="What a refreshed discovery found changed, where one was asked for. (full record)"),
    ] = None
    geography: Annotated[Text, Meta(description="auto, us or eu; gone in later versions. (full record)")] = None
    dataplane_group_id: Annotated[
        Text, Meta(description="What took the place of the geography in later versions. (full record)")
    ] = None
    notify_schema_changes: Annotated[Flag, Meta(description="Whether a schema change is notified. (full record)")] = (
        None
    )
    non_breaking_changes_preference: Annotated[
        Text,
        Meta(
            description="On a non-breaking change: ignore, disable, propagate_columns, propagate_fully. (full record)"
        ),
    ] = None


FULL_RECORD = tuple(
    f"AirbyteConnection.{name}"
    for name in AirbyteConnection.__struct_fields__[AirbyteConnection.__struct_fields__.index("namespace_definition") :]
)
"""The field paths that a list page does not answer."""
