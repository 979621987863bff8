"""Records as Airbyte sends them, only what we read. Counters and epochs are int64; epochs are in seconds, those of
failures in milliseconds. ``connectionConfiguration`` is left out on purpose: it holds credentials. A schema that is
nested too deep to be shown is None.
"""

from typing import Any

import msgspec

from adapters.decode import Id
from adapters.nesting import is_deep


def _shown(schema: Any) -> Any:
    return None if is_deep(schema) else schema


class Interval(msgspec.Struct, rename="camel", gc=False):
    units: int | None = None
    time_unit: str | None = None


class Cron(msgspec.Struct, rename="camel", gc=False):
    cron_expression: str | None = None
    cron_time_zone: str | None = None


class ScheduleData(msgspec.Struct, rename="camel", gc=False):
    basic_schedule: Interval | None = None
    cron: Cron | None = None


class Source(msgspec.Struct, rename="camel", gc=False):
    """``SourceSnippetRead`` of a list, or ``SourceRead`` of a full record and of ``sources/list``."""

    source_id: str | None = None
    name: str | None = None
    source_name: str | None = None
    source_definition_id: str | None = None
    workspace_id: str | None = None
    icon: str | None = None


class Destination(msgspec.Struct, rename="camel", gc=False):
    """``DestinationSnippetRead`` of a list, or ``DestinationRead``."""

    destination_id: str | None = None
    name: str | None = None
    destination_name: str | None = None
    destination_definition_id: str | None = None
    workspace_id: str | None = None
    icon: str | None = None


class ListItem(msgspec.Struct, rename="camel", gc=False):
    """``WebBackendConnectionListItem``."""

    connection_id: Id
    name: str | None = None
    schedule_type: str | None = None
    schedule_data: ScheduleData | None = None
    status: str | None = None
    source: Source | None = None
    destination: Destination | None = None
    latest_sync_job_created_at: float | None = None  # an int64 in the specification, a number in its SDKs
    latest_sync_job_status: str | None = None
    is_syncing: bool | None = None
    schema_change: str | None = None


class StreamDescriptor(msgspec.Struct, gc=False):
    name: str | None = None
    namespace: str | None = None


class Stream(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    namespace: str | None = None
    json_schema: dict[str, Any] | None = None
    supported_sync_modes: list[str | None] | None = None
    source_defined_cursor: bool | None = None
    default_cursor_field: list[str] | None = None
    source_defined_primary_key: list[list[str]] | None = None

    def __post_init__(self) -> None:
        self.json_schema = _shown(self.json_schema)


class SelectedField(msgspec.Struct, rename="camel", gc=False):
    field_path: list[str] | None = None


class StreamConfig(msgspec.Struct, rename="camel", gc=False):
    sync_mode: str | None = None
    destination_sync_mode: str | None = None
    cursor_field: list[str] | None = None
    primary_key: list[list[str]] | None = None
    alias_name: str | None = None
    selected: bool | None = None
    suggested: bool | None = None
    field_selection_enabled: bool | None = None
    selected_fields: list[SelectedField] | None = None


class ConfiguredStream(msgspec.Struct, gc=False):
    stream: Stream | None = None
    config: StreamConfig | None = None


class Catalog(msgspec.Struct, gc=False):
    streams: list[ConfiguredStream] | None = None


class FieldAddOrRemove(msgspec.Struct, gc=False):
    schema: Any = None

    def __post_init__(self) -> None:
        self.schema = _shown(self.schema)


class FieldSchemaUpdate(msgspec.Struct, rename="camel", gc=False):
    old_schema: Any = None
    new_schema: Any = None

    def __post_init__(self) -> None:
        self.old_schema, self.new_schema = _shown(self.old_schema), _shown(self.new_schema)


class FieldTransform(msgspec.Struct, rename="camel", gc=False):
    transform_type: str | None = None
    field_name: list[str] | None = None
    breaking: bool | None = None
    add_field: FieldAddOrRemove | None = None
    remove_field: FieldAddOrRemove | None = None
    update_field_schema: FieldSchemaUpdate | None = None


class StreamUpdate(msgspec.Struct, rename="camel", gc=False):
    field_transforms: list[FieldTransform] | None = None


class StreamTransform(msgspec.Struct, rename="camel", gc=False):
    """``updateStream`` is an array in v0.40 and an object around that array in later versions."""

    transform_type: str | None = None
    stream_descriptor: StreamDescriptor | None = None
    update_stream: list[FieldTransform] | StreamUpdate | None = None


class CatalogDiff(msgspec.Struct, gc=False):
    transforms: list[StreamTransform] | None = None


class Normalization(msgspec.Struct, gc=False):
    option: str | None = None


class Dbt(msgspec.Struct, rename="camel", gc=False):
    git_repo_url: str | None = None
    git_repo_branch: str | None = None
    docker_image: str | None = None
    dbt_arguments: str | None = None


class DbtCloud(msgspec.Struct, rename="camel", gc=False):
    account_id: int | None = None
    job_id: int | None = None


class Webhook(msgspec.Struct, rename="camel", gc=False):
    """``executionUrl`` and ``executionBody`` are left out: both carry credentials."""

    webhook_config_id: str | None = None
    webhook_type: str | None = None
    dbt_cloud: DbtCloud | None = None


class OperatorConfiguration(msgspec.Struct, rename="camel", gc=False):
    operator_type: str | None = None
    normalization: Normalization | None = None
    dbt: Dbt | None = None
    webhook: Webhook | None = None


class Operation(msgspec.Struct, rename="camel", gc=False):
    operation_id: str | None = None
    name: str | None = None
    workspace_id: str | None = None
    operator_configuration: OperatorConfiguration | None = None


class ResourceRequirements(msgspec.Struct, gc=False):
    """Snake case even on the wire."""

    cpu_request: str | None = None
    cpu_limit: str | None = None
    memory_request: str | None = None
    memory_limit: str | None = None


class Brief(ListItem, rename="camel", gc=False):
    """``WebBackendConnectionRead``, without what no unified field is made of."""

    source_id: str | None = None
    destination_id: str | None = None
    schedule: Interval | None = None
    created_at: float | None = None  # later versions


class Read(Brief, rename="camel", gc=False):
    """``WebBackendConnectionRead``: a list item with everything else."""

    namespace_definition: str | None = None
    namespace_format: str | None = None
    prefix: str | None = None
    sync_catalog: Catalog | None = None
    operation_ids: list[str] | None = None
    operations: list[Operation] | None = None
    resource_requirements: ResourceRequirements | None = None
    catalog_id: str | None = None
    catalog_diff: CatalogDiff | None = None
    geography: str | None = None
    dataplane_group_id: str | None = None
    notify_schema_changes: bool | None = None
    non_breaking_changes_preference: str | None = None


class KeptCatalog(msgspec.Struct):
    streams: list[msgspec.Raw] | None = None


class Kept(msgspec.Struct, rename="camel"):
    """Of a full record, what is read member by member: one that is odd costs itself, and none of its neighbours."""

    sync_catalog: KeptCatalog | None = None
    operations: list[msgspec.Raw] | None = None


class ListReply(msgspec.Struct):
    """``page_size`` and ``num_connections`` came with the cursor-paged generation, in snake case."""

    connections: list[msgspec.Raw]
    page_size: int | None = None
    num_connections: int | None = None


class Workspace(msgspec.Struct, rename="camel", gc=False):
    workspace_id: Id
    name: str | None = None


class Definition(msgspec.Struct, rename="camel", gc=False):
    """``SourceDefinitionRead`` or ``DestinationDefinitionRead``; icons are inline SVG."""

    source_definition_id: str | None = None
    destination_definition_id: str | None = None
    name: str | None = None
    docker_image_tag: str | None = None
    documentation_url: str | None = None
    icon: str | None = None
    release_stage: str | None = None


class Job(msgspec.Struct, rename="camel", gc=False):
    id: int
    config_type: str | None = None
    config_id: str | None = None
    status: str | None = None
    created_at: float | None = None
    started_at: float | None = None
    updated_at: float | None = None


class FailureReason(msgspec.Struct, rename="camel", gc=False):
    """``internalMessage`` and ``stacktrace`` are left out: nobody outside may read them."""

    external_message: str | None = None
    timestamp: float | None = None  # in milliseconds, unlike all other times


class FailureSummary(msgspec.Struct, gc=False):
    failures: list[FailureReason] | None = None


class AttemptStats(msgspec.Struct, rename="camel", gc=False):
    records_committed: int | None = None
    records_emitted: int | None = None
    bytes_emitted: int | None = None


class Attempt(msgspec.Struct, rename="camel", gc=False):
    created_at: float | None = None
    ended_at: float | None = None
    records_synced: int | None = None
    bytes_synced: int | None = None
    total_stats: AttemptStats | None = None
    failure_summary: FailureSummary | None = None


class JobWithAttempts(msgspec.Struct, gc=False):
    job: Job
    attempts: list[Attempt] | None = None


class JobList(msgspec.Struct, rename="camel"):
    jobs: list[msgspec.Raw]
    total_job_count: int | None = None


class AttemptInfo(msgspec.Struct, gc=False):
    """An attempt with its logs, which are left out: they may hold anything."""

    attempt: Attempt | None = None


class JobInfo(msgspec.Struct, gc=False):
    """``JobInfoRead``, which every call about one job answers."""

    job: Job
    attempts: list[AttemptInfo] | None = None


class Made(msgspec.Struct, rename="camel", gc=False):
    """Of a ``WebBackendConnectionRead``, whose it is."""

    connection_id: Id


class Declared(StreamDescriptor, gc=False):
    """A stream as its connector declares it; or as a connection has it, which is what a release could hand out too."""

    stream: StreamDescriptor | None = None


class DeclaredCatalog(msgspec.Struct, gc=False):
    """A catalog as connectors declare it, in Airbyte's protocol: streams without a configuration around them."""

    streams: list[Declared] | None = None


class ActorCatalog(msgspec.Struct, gc=False):
    """``ActorCatalogWithUpdatedAt``, which has the catalog as its connector declared it: ``SourceHandler`` hands out
    the column of its database, in v0.40.32 and later."""

    catalog: DeclaredCatalog | None = None


class SynchronousJob(msgspec.Struct, gc=False):
    """Without its logs."""

    succeeded: bool | None = None


class CheckConnection(msgspec.Struct, rename="camel", gc=False):
    """``CheckConnectionRead``."""

    status: str | None = None
    message: str | None = None


class Discovered(msgspec.Struct, rename="camel", gc=False):
    """``SourceDiscoverSchemaRead``; there is no catalog where the job failed."""

    catalog: Catalog | None = None
    catalog_id: str | None = None
    job_info: SynchronousJob | None = None


class Workspaces(msgspec.Struct):
    workspaces: list[msgspec.Raw]


class Sources(msgspec.Struct):
    sources: list[msgspec.Raw]


class Destinations(msgspec.Struct):
    destinations: list[msgspec.Raw]


class SourceDefinitions(msgspec.Struct, rename="camel"):
    source_definitions: list[msgspec.Raw]


class DestinationDefinitions(msgspec.Struct, rename="camel"):
    destination_definitions: list[msgspec.Raw]


class Token(msgspec.Struct):
    """The internal path answers no ``expires_in``, and where it is answered it has been wrong: see `client`."""

    access_token: str
    expires_in: float | None = None
