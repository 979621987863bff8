"""Where each field of ``Connection`` is found in the graph, below our ``Connection``."""

SOURCE_MODELS = {
    "Connection": {
        "auth": "details.UnifiedToConnection.hasAuth",
        "auth_aws_arn": "details.UnifiedToConnection.hasSecretPointer",
        "categories": "categories",
        "created_at": "createdAt",
        "cursors_cache": "details.UnifiedToConnection.cursorsCache",
        "environment": "environment",
        "external_xref": "externalRef",
        "id": "nativeId",
        "integration_type": "source.type",
        "is_paused": "details.UnifiedToConnection.isPaused",
        "last_healthy_at": "lastHealthyAt",
        "last_unhealthy_at": "lastUnhealthyAt",
        "permissions": "permissions",
        "updated_at": "updatedAt",
        "workspace_id": "workspaceId",
    }
}

SECRETS = {
    "auth": "Holds working credentials of customers. Only its name, its expiry and that it is there are shown.",
    "auth_aws_arn": "Tells where a secret is kept. Only that it is there is shown.",
}
"""Fields of the source model that are secrets, and what is shown in their stead."""
