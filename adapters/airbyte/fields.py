"""Where each field of Airbyte's three models is found in the graph: below ``Connection``, or in the create input."""

_LIST_ITEM = {
    "connectionId": "nativeId",
    "name": "name",
    "scheduleType": "schedule.type",
    "scheduleData": "schedule",
    "status": "details.AirbyteConnection.rawStatus",
    "source": "source",
    "destination": "destination",
    "latestSyncJobCreatedAt": "lastRun.startedAt",
    "latestSyncJobStatus": "lastRun.status",
    "isSyncing": "running",
    "schemaChange": "schemaChange",
}

SOURCE_MODELS = {
    "WebBackendConnectionListItem": _LIST_ITEM,
    "WebBackendConnectionRead": _LIST_ITEM
    | {
        "namespaceDefinition": "details.AirbyteConnection.namespaceDefinition",
        "namespaceFormat": "details.AirbyteConnection.namespaceFormat",
        "prefix": "details.AirbyteConnection.prefix",
        "sourceId": "source.id",
        "destinationId": "destination.id",
        "syncCatalog": "details.AirbyteConnection.syncCatalog",
        "schedule": "details.AirbyteConnection.legacySchedule",
        "operationIds": "details.AirbyteConnection.operationIds",
        "operations": "details.AirbyteConnection.operations",
        "resourceRequirements": "details.AirbyteConnection.resourceRequirements",
        "catalogId": "details.AirbyteConnection.catalogId",
        "catalogDiff": "details.AirbyteConnection.catalogDiff",
        "geography": "details.AirbyteConnection.geography",
        "notifySchemaChanges": "details.AirbyteConnection.notifySchemaChanges",
        "nonBreakingChangesPreference": "details.AirbyteConnection.nonBreakingChangesPreference",
    },
    "WebBackendConnectionCreate": {
        name: f"input.AirbyteConnectionCreate.{name}"
        for name in (
            "name",
            "namespaceDefinition",
            "namespaceFormat",
            "prefix",
            "sourceId",
            "destinationId",
            "operationIds",
            "syncCatalog",
            "schedule",
            "scheduleType",
            "scheduleData",
            "status",
            "resourceRequirements",
            "operations",
            "sourceCatalogId",
            "geography",
            "nonBreakingChangesPreference",
        )
    },
}
