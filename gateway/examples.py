"""The queries that GraphiQL offers to people who do not know the graph yet. The README shows the first."""

from gateway.graphiql.page import Example

EXAMPLES = (
    Example(
        "All connections",
        """\
# Every connection of every provider, in one list.
query AllConnections {
  connections(first: 25) {
    nodes {
      name
      provider
      status
      source { name type }
      destination { name type }
      schedule { humanText }
      lastRun { status startedAt }
    }
    pageInfo { hasNextPage endCursor }
  }
}
""",
    ),
    Example(
        "What is broken, and why",
        """\
# The evidence behind each status: which upstream field decided, and what stood there.
query WhatIsBroken {
  connections(first: 50) {
    nodes {
      name
      provider
      status
      statusReason { code message since field rawValue }
      lastUnhealthyAt
      webUrl
    }
    sources { instance { name } state rowCount error { code message } }
  }
}
""",
    ),
    Example(
        "What each provider adds",
        """\
# `details` has one member for each provider. Full records cost one more call each, made together.
query Details {
  connections(first: 6) {
    nodes {
      name
      details {
        __typename
        ... on AirbyteConnection {
          prefix
          namespaceDefinition
          syncCatalog { streams { stream { name } config { syncMode destinationSyncMode } } }
        }
        ... on WorkivaConnection {
          lastRun { sourceStatus destinationStatus error }
          lastRunSourceParameters
        }
        ... on UnifiedToConnection { authName authState authExpiresAt isPaused }
      }
    }
  }
}
""",
    ),
    Example(
        "Runs",
        """\
# The latest runs, with what they moved. A provider without runs answers null.
query Runs {
  connections(first: 6) {
    nodes {
      name
      running
      runs(first: 3) {
        totalCount
        nodes { id status startedAt endedAt recordsSynced bytesSynced error }
      }
    }
  }
}
""",
    ),
    Example(
        "Instances",
        """\
# What is configured, what it can do, and whether calls to it are being made.
query Instances {
  instances { name provider providerLabel capabilities breaker }
}
""",
    ),
)
