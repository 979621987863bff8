"""From Airbyte's records to `AirbyteConnection`: the part of a connection that is Airbyte's alone."""

from collections.abc import Iterable

import msgspec

from adapters.airbyte import wire
from adapters.airbyte.convert_schedule import interval
from adapters.airbyte.details import (
    AirbyteCatalog,
    AirbyteCatalogDiff,
    AirbyteConfiguredStream,
    AirbyteConnection,
    AirbyteFieldTransform,
    AirbyteOperation,
    AirbyteResourceRequirements,
    AirbyteSelectedField,
    AirbyteStream,
    AirbyteStreamConfig,
    AirbyteStreamTransform,
)
from adapters.secret import masked_text
from adapters.values import text, word


def details(row: wire.ListItem) -> AirbyteConnection:
    """The details of a list item, or of a full record with all that only it has."""
    source, destination = row.source, row.destination
    listed = AirbyteConnection(
        raw_status=word(row.status),
        raw_latest_sync_job_status=word(row.latest_sync_job_status),
        raw_schedule_type=word(row.schedule_type),
        raw_schema_change=word(row.schema_change),
        is_syncing=row.is_syncing,
        source_definition_id=word(source.source_definition_id) if source else None,
        destination_definition_id=word(destination.destination_definition_id) if destination else None,
    )
    return _full(listed, row) if isinstance(row, wire.Read) else listed


def _full(listed: AirbyteConnection, row: wire.Read) -> AirbyteConnection:
    return msgspec.structs.replace(
        listed,
        namespace_definition=text(row.namespace_definition),
        namespace_format=text(row.namespace_format),
        prefix=text(row.prefix),
        sync_catalog=catalog(row.sync_catalog) if row.sync_catalog else None,
        legacy_schedule=interval(row.schedule) if row.schedule else None,
        operation_ids=_texts(row.operation_ids),
        operations=None if row.operations is None else tuple(map(operation, row.operations)),
        resource_requirements=_resources(row.resource_requirements) if row.resource_requirements else None,
        catalog_id=text(row.catalog_id),
        catalog_diff=catalog_diff(row.catalog_diff) if row.catalog_diff else None,
        geography=text(row.geography),
        dataplane_group_id=text(row.dataplane_group_id),
        notify_schema_changes=row.notify_schema_changes,
        non_breaking_changes_preference=text(row.non_breaking_changes_preference),
    )


def catalog(given: wire.Catalog) -> AirbyteCatalog:
    return AirbyteCatalog(
        streams=tuple(
            AirbyteConfiguredStream(
                stream=_stream(item.stream) if item.stream else None,
                config=_config(item.config) if item.config else None,
            )
            for item in given.streams or ()
        )
    )


def _stream(given: wire.Stream) -> AirbyteStream:
    return AirbyteStream(
        name=text(given.name),
        namespace=text(given.namespace),
        json_schema=given.json_schema,
        supported_sync_modes=_texts(given.supported_sync_modes),
        source_defined_cursor=given.source_defined_cursor,
        default_cursor_field=_path(given.default_cursor_field),
        source_defined_primary_key=_paths(given.source_defined_primary_key),
    )


def _config(given: wire.StreamConfig) -> AirbyteStreamConfig:
    fields = given.selected_fields
    return AirbyteStreamConfig(
        sync_mode=text(given.sync_mode),
        destination_sync_mode=text(given.destination_sync_mode),
        cursor_field=_path(given.cursor_field),
        primary_key=_paths(given.primary_key),
        alias_name=text(given.alias_name),
        selected=given.selected,
        suggested=given.suggested,
        field_selection_enabled=given.field_selection_enabled,
        selected_fields=None
        if fields is None
        else tuple(AirbyteSelectedField(field_path=tuple(field.field_path or ())) for field in fields),
    )


def catalog_diff(given: wire.CatalogDiff) -> AirbyteCatalogDiff:
    return AirbyteCatalogDiff(transforms=tuple(map(_stream_transform, given.transforms or ())))


def _stream_transform(given: wire.StreamTransform) -> AirbyteStreamTransform:
    update = given.update_stream
    fields = update.field_transforms if isinstance(update, wire.StreamUpdate) else update
    descriptor = given.stream_descriptor or wire.StreamDescriptor()
    return AirbyteStreamTransform(
        transform_type=text(given.transform_type),
        stream_name=text(descriptor.name),
        stream_namespace=text(descriptor.namespace),
        field_transforms=tuple(map(_field_transform, fields or ())),
    )


def _field_transform(given: wire.FieldTransform) -> AirbyteFieldTransform:
    update = given.update_field_schema or wire.FieldSchemaUpdate()
    return AirbyteFieldTransform(
        transform_type=text(given.transform_type),
        field_name=tuple(given.field_name or ()),
        breaking=given.breaking,
        added_schema=given.add_field.schema if given.add_field else None,
        removed_schema=given.remove_field.schema if given.remove_field else None,
        old_schema=update.old_schema,
        new_schema=update.new_schema,
    )


def operation(given: wire.Operation) -> AirbyteOperation:
    config = given.operator_configuration or wire.OperatorConfiguration()
    dbt = config.dbt or wire.Dbt()
    webhook = config.webhook or wire.Webhook()
    cloud = webhook.dbt_cloud or wire.DbtCloud()
    return AirbyteOperation(
        operation_id=text(given.operation_id),
        name=text(given.name),
        workspace_id=text(given.workspace_id),
        operator_type=text(config.operator_type),
        normalization_option=text(config.normalization.option) if config.normalization else None,
        dbt_git_repo_url=masked_text(dbt.git_repo_url) if dbt.git_repo_url else None,
        dbt_git_repo_branch=text(dbt.git_repo_branch),
        dbt_docker_image=text(dbt.docker_image),
        dbt_arguments=masked_text(dbt.dbt_arguments) if dbt.dbt_arguments else None,
        webhook_config_id=text(webhook.webhook_config_id),
        webhook_type=text(webhook.webhook_type),
        dbt_cloud_account_id=cloud.account_id,
        dbt_cloud_job_id=cloud.job_id,
    )


def _resources(given: wire.ResourceRequirements) -> AirbyteResourceRequirements:
    return AirbyteResourceRequirements(
        cpu_request=text(given.cpu_request),
        cpu_limit=text(given.cpu_limit),
        memory_request=text(given.memory_request),
        memory_limit=text(given.memory_limit),
    )


def _texts(given: Iterable[str | None] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(item for item in given if item)


def _path(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _paths(given: list[list[str]] | None) -> tuple[tuple[str, ...], ...] | None:
    return None if given is None else tuple(map(tuple, given))
