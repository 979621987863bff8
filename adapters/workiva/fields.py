"""Where each field of ``ConnectionDto`` is found in the graph, below ``Connection``."""

SOURCE_MODELS = {
    "ConnectionDto": {
        "connectionId": "nativeId",
        "created": "createdAt",
        "createdBy": "createdBy",
        "description": "description",
        "destinationId": "destination.id",
        "destinationType": "destination.type",
        "destinationWorkspaceId": "destination.workspaceId",
        "lastRun": "details.WorkivaConnection.lastRun",
        "lastRunBy": "details.WorkivaConnection.lastRunBy",
        "lastRunDate": "details.WorkivaConnection.lastRunDate",
        "lastRunDestinationParameters": "details.WorkivaConnection.lastRunDestinationParameters",
        "lastRunJobId": "details.WorkivaConnection.lastRunJobId",
        "lastRunSourceParameters": "details.WorkivaConnection.lastRunSourceParameters",
        "metadata": "details.WorkivaConnection.metadata",
        "name": "name",
        "sourceId": "source.id",
        "sourceType": "source.type",
        "sourceWorkspaceId": "source.workspaceId",
        "updated": "updatedAt",
        "workspaceId": "workspaceId",
    }
}
