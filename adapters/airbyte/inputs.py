"""What a client can send to create or change an Airbyte connection: the fields of ``WebBackendConnectionCreate`` and of
``WebBackendConnectionUpdate``.

Names and nesting are Airbyte's own, so that its documentation applies word for word.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.model import TimeUnit, Word

Text = str | None
Path = tuple[str, ...]


class AirbyteStatus(Word):
    """Whether a connection runs by its schedule."""

    ACTIVE = "ACTIVE", "It runs by its schedule."
    INACTIVE = "INACTIVE", "It is switched off."
    DEPRECATED = "DEPRECATED", "It is deleted; kept upstream for the record."


class AirbyteNamespaceDefinition(Word):
    """Where streams land in the destination."""

    SOURCE = "SOURCE", "In the namespace that the source has."
    DESTINATION = "DESTINATION", "In the destination's default namespace."
    CUSTOMFORMAT = "CUSTOMFORMAT", "By `namespaceFormat`."


class AirbyteScheduleType(Word):
    """What starts the runs."""

    MANUAL = "MANUAL", "People do."
    BASIC = "BASIC", "An interval does."
    CRON = "CRON", "A cron expression does."


class AirbyteSyncMode(Word):
    """How a stream is read."""

    FULL_REFRESH = "FULL_REFRESH", "Everything, each time."
    INCREMENTAL = "INCREMENTAL", "Only what is new, by the cursor field."


class AirbyteDestinationSyncMode(Word):
    """How a stream is written."""

    APPEND = "APPEND", "New rows are added."
    OVERWRITE = "OVERWRITE", "The table is replaced."
    APPEND_DEDUP = "APPEND_DEDUP", "Rows are added, and one is kept for each primary key."
    OVERWRITE_DEDUP = (
        "OVERWRITE_DEDUP",
        "The table is replaced, and one row is kept for each primary key. (later versions)",
    )
    UPDATE = "UPDATE", "Rows are updated by primary key. (later versions)"
    SOFT_DELETE = "SOFT_DELETE", "Deleted rows are marked. (later versions)"


class AirbyteNonBreakingChangesPreference(Word):
    """What happens on a schema change that does not break the connection."""

    IGNORE = "IGNORE", "Nothing."
    DISABLE = "DISABLE", "The connection is switched off."
    PROPAGATE_COLUMNS = "PROPAGATE_COLUMNS", "New columns are synced. (later versions)"
    PROPAGATE_FULLY = "PROPAGATE_FULLY", "New columns and streams are synced. (later versions)"


class AirbyteOperatorType(Word):
    """What kind of work follows a sync."""

    NORMALIZATION = "NORMALIZATION", "Airbyte's own normalization."
    DBT = "DBT", "A dbt run."
    WEBHOOK = "WEBHOOK", "A call of a webhook."


class Input(msgspec.Struct, frozen=True, rename="camel"):
    """The base of the input records; an absent field is None."""


def written(value: Any) -> Any:
    """An input as JSON in Airbyte's spelling. What is absent is left out; words are in lower case on the wire."""
    if isinstance(value, Word):
        return value.value.lower()
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        fields = ((theirs, getattr(value, name)) for theirs, name in names)
        return {name: written(item) for name, item in fields if item is not None and item is not UNSET}
    if isinstance(value, tuple):
        return [written(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


class AirbyteIntervalInput(Input, frozen=True, kw_only=True):
    """One run every so many units."""

    units: Annotated[int, Meta(description="How many units lie between two runs; at least 1.")]
    time_unit: Annotated[TimeUnit, Meta(description="The unit; UNKNOWN is refused.")]


class AirbyteCronInput(Input, frozen=True, kw_only=True):
    """Runs by a Quartz cron expression: six or seven fields, seconds first."""

    cron_expression: Annotated[str, Meta(description="The expression, such as 0 0 */6 * * ?.")]
    cron_time_zone: Annotated[str, Meta(description="An IANA time zone, such as Europe/Berlin.")]


class AirbyteScheduleDataInput(Input, frozen=True, kw_only=True):
    """The data of a schedule: one of the two, as its type says."""

    basic_schedule: Annotated[AirbyteIntervalInput | None, Meta(description="Goes with BASIC.")] = None
    cron: Annotated[AirbyteCronInput | None, Meta(description="Goes with CRON.")] = None


class AirbyteStreamInput(Input, frozen=True, kw_only=True):
    """A stream as the source offers it."""

    name: Annotated[str, Meta(description="The stream's name.")]
    namespace: Annotated[Text, Meta(description="The source's namespace for it.")] = None
    json_schema: Annotated[Any, Meta(description="JSON Schema of its records.")] = None
    supported_sync_modes: Annotated[
        tuple[AirbyteSyncMode, ...] | None, Meta(description="How the source can read it.")
    ] = None
    source_defined_cursor: Annotated[bool | None, Meta(description="Whether the source picks the cursor.")] = None
    default_cursor_field: Annotated[Path | None, Meta(description="Path of the default cursor field.")] = None
    source_defined_primary_key: Annotated[
        tuple[Path, ...] | None, Meta(description="Paths of the primary key that the source defines.")
    ] = None


class AirbyteSelectedFieldInput(Input, frozen=True, kw_only=True):
    """A field that is to be synced."""

    field_path: Annotated[Path, Meta(description="Path of the field in a record.")]


class AirbyteStreamConfigInput(Input, frozen=True, kw_only=True):
    """How a stream is to be synced."""

    sync_mode: Annotated[AirbyteSyncMode, Meta(description="How it is read.")]
    destination_sync_mode: Annotated[AirbyteDestinationSyncMode, Meta(description="How it is written.")]
    cursor_field: Annotated[Path | None, Meta(description="Path of the field that tells new records.")] = None
    primary_key: Annotated[tuple[Path, ...] | None, Meta(description="Paths of the primary key.")] = None
    alias_name: Annotated[Text, Meta(description="The stream's name in the destination.")] = None
    selected: Annotated[bool | None, Meta(description="Whether it is synced at all.")] = None
    suggested: Annotated[bool | None, Meta(description="Whether the connector suggests to sync it.")] = None
    field_selection_enabled: Annotated[bool | None, Meta(description="Whether only selectedFields are synced.")] = None
    selected_fields: Annotated[
        tuple[AirbyteSelectedFieldInput, ...] | None,
        Meta(description="The fields that are synced; an empty list is none of them."),
    ] = None


class AirbyteConfiguredStreamInput(Input, frozen=True, kw_only=True):
    """A stream with its configuration."""

    stream: Annotated[AirbyteStreamInput | None, Meta(description="The stream as the source offers it.")] = None
    config: Annotated[AirbyteStreamConfigInput | None, Meta(description="How it is to be synced.")] = None


class AirbyteCatalogInput(Input, frozen=True, kw_only=True):
    """What is to be synced."""

    streams: Annotated[tuple[AirbyteConfiguredStreamInput, ...], Meta(description="The streams.")]


class AirbyteResourceRequirementsInput(Input, frozen=True, kw_only=True, rename=None):
    """Kubernetes quantities for the connection's own workers."""

    cpu_request: Annotated[Text, Meta(description="CPU asked for, such as 0.25.")] = None
    cpu_limit: Annotated[Text, Meta(description="CPU at the most.")] = None
    memory_request: Annotated[Text, Meta(description="Memory asked for, such as 512Mi.")] = None
    memory_limit: Annotated[Text, Meta(description="Memory at the most.")] = None


class AirbyteNormalizationInput(Input, frozen=True, kw_only=True):
    """Normalization after a sync."""

    option: Annotated[Text, Meta(description="basic.")] = None


class AirbyteDbtInput(Input, frozen=True, kw_only=True):
    """A dbt run after a sync."""

    git_repo_url: Annotated[str, Meta(description="The repository.")]
    git_repo_branch: Annotated[Text, Meta(description="The branch.")] = None
    docker_image: Annotated[Text, Meta(description="The image it runs in.")] = None
    dbt_arguments: Annotated[Text, Meta(description="Its command line.")] = None


class AirbyteDbtCloudInput(Input, frozen=True, kw_only=True):
    """A dbt Cloud job."""

    account_id: Annotated[int, Meta(description="The account.")]
    job_id: Annotated[int, Meta(description="The job.")]


class AirbyteWebhookInput(Input, frozen=True, kw_only=True):
    """A webhook called after a sync."""

    webhook_config_id: Annotated[Text, Meta(description="Its configuration in the workspace.")] = None
    webhook_type: Annotated[Text, Meta(description="dbtCloud.")] = None
    dbt_cloud: Annotated[AirbyteDbtCloudInput | None, Meta(description="The dbt Cloud job to run.")] = None
    execution_url: Annotated[Text, Meta(description="The URL to call; deprecated upstream.")] = None
    execution_body: Annotated[Text, Meta(description="The body to send; deprecated upstream.")] = None


class AirbyteOperatorConfigurationInput(Input, frozen=True, kw_only=True):
    """The work that follows a sync: the member that its type names."""

    operator_type: Annotated[AirbyteOperatorType, Meta(description="Its kind.")]
    normalization: Annotated[AirbyteNormalizationInput | None, Meta(description="Goes with NORMALIZATION.")] = None
    dbt: Annotated[AirbyteDbtInput | None, Meta(description="Goes with DBT.")] = None
    webhook: Annotated[AirbyteWebhookInput | None, Meta(description="Goes with WEBHOOK.")] = None


class AirbyteOperationInput(Input, frozen=True, kw_only=True):
    """An operation to create with the connection; of a change also one there is."""

    operation_id: Annotated[Text, Meta(description="Of a change: the operation that is to become this.")] = None
    name: Annotated[str, Meta(description="Its name.")]
    workspace_id: Annotated[str, Meta(description="The workspace it belongs to.")]
    operator_configuration: Annotated[AirbyteOperatorConfigurationInput, Meta(description="What it does.")]


class AirbyteConnectionCreate(Input, frozen=True, kw_only=True):
    """A connection to create in Airbyte, with every field of its own model of one."""

    name: Annotated[Text, Meta(description="Its name; Airbyte makes one where it is absent.")] = None
    namespace_definition: Annotated[
        AirbyteNamespaceDefinition | None, Meta(description="Where streams land in the destination.")
    ] = None
    namespace_format: Annotated[Text, Meta(description="The format of a CUSTOMFORMAT namespace.")] = None
    prefix: Annotated[Text, Meta(description="Put before each stream's name in the destination.")] = None
    source_id: Annotated[str, Meta(description="The source to read from.")]
    destination_id: Annotated[str, Meta(description="The destination to write to.")]
    operation_ids: Annotated[tuple[str, ...] | None, Meta(description="Existing operations to do after a sync.")] = None
    sync_catalog: Annotated[AirbyteCatalogInput | None, Meta(description="What is synced, and how.")] = None
    schedule: Annotated[AirbyteIntervalInput | None, Meta(description="The schedule in its old form.")] = None
    schedule_type: Annotated[AirbyteScheduleType | None, Meta(description="What starts the runs.")] = None
    schedule_data: Annotated[AirbyteScheduleDataInput | None, Meta(description="When they start.")] = None
    status: Annotated[AirbyteStatus, Meta(description="Whether it runs by its schedule.")]
    resource_requirements: Annotated[
        AirbyteResourceRequirementsInput | None, Meta(description="What its workers may use.")
    ] = None
    operations: Annotated[
        tuple[AirbyteOperationInput, ...] | None, Meta(description="Operations to create with it.")
    ] = None
    source_catalog_id: Annotated[Text, Meta(description="The discovered catalog it is based on.")] = None
    geography: Annotated[Text, Meta(description="auto, us or eu; gone in later versions.")] = None
    non_breaking_changes_preference: Annotated[
        AirbyteNonBreakingChangesPreference | None, Meta(description="What happens on a non-breaking schema change.")
    ] = None


class AirbyteConnectionUpdate(Input, frozen=True, kw_only=True):
    """What is to change of an Airbyte connection. What is left out stays as it is; null clears what Airbyte can clear:
    namespaceFormat, prefix, operations and resourceRequirements."""

    name: Annotated[Text | UnsetType, Meta(description="Its name.")] = UNSET
    namespace_definition: Annotated[
        AirbyteNamespaceDefinition | UnsetType | None, Meta(description="Where streams land in the destination.")
    ] = UNSET
    namespace_format: Annotated[Text | UnsetType, Meta(description="The format of a CUSTOMFORMAT namespace.")] = UNSET
    prefix: Annotated[Text | UnsetType, Meta(description="Put before each stream's name in the destination.")] = UNSET
    sync_catalog: Annotated[
        AirbyteCatalogInput | UnsetType | None,
        Meta(description="What is synced, and how: all of it. Goes with skipReset."),
    ] = UNSET
    schedule: Annotated[AirbyteIntervalInput | UnsetType | None, Meta(description="The schedule in its old form.")] = (
        UNSET
    )
    schedule_type: Annotated[AirbyteScheduleType | UnsetType | None, Meta(description="What starts the runs.")] = UNSET
    schedule_data: Annotated[AirbyteScheduleDataInput | UnsetType | None, Meta(description="When they start.")] = UNSET
    status: Annotated[AirbyteStatus | UnsetType | None, Meta(description="Whether it runs by its schedule.")] = UNSET
    resource_requirements: Annotated[
        AirbyteResourceRequirementsInput | UnsetType | None, Meta(description="What its workers may use.")
    ] = UNSET
    skip_reset: Annotated[
        bool | UnsetType | None,
        Meta(
            description=(
                "Whether what changed streams have written is left alone; false lets Airbyte clear it and read it anew."
            )
        ),
    ] = UNSET
    operations: Annotated[
        tuple[AirbyteOperationInput, ...] | UnsetType | None, Meta(description="What is done after a sync: all of it.")
    ] = UNSET
    source_catalog_id: Annotated[
        Text | UnsetType, Meta(description="The discovered catalog that syncCatalog is based on.")
    ] = UNSET
    geography: Annotated[Text | UnsetType, Meta(description="auto, us or eu; gone in later versions.")] = UNSET
    notify_schema_changes: Annotated[
        bool | UnsetType | None, Meta(description="Whether people are told of schema changes.")
    ] = UNSET
    non_breaking_changes_preference: Annotated[
        AirbyteNonBreakingChangesPreference | UnsetType | None,
        Meta(description="What happens on a non-breaking schema change."),
    ] = UNSET
