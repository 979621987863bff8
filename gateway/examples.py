"""The queries that GraphiQL offers to people who do not know the graph yet. The README shows the first as it is, and
the second a little shorter.

Lines of selections are short, since the editor shares a laptop's screen with the list of examples and the result. A
comment is one line for each sentence, which the editor wraps as wide as it is: wrapped here, it would be wrapped twice.
"""

from gateway.graphiql.page import Example

EXAMPLES = (
    Example(
        "All connections",
        """\
# Every connection of every provider, in one list.
query AllConnections {
  connections(first: 50) {
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
# The worst first, with the evidence: which upstream field decided, and what stood there.
query WhatIsBroken {
  connections(
    first: 25
    filter: { status: [FAILING, DEGRADED] }
    orderBy: [{ field: STATUS, direction: DESC }, { field: NAME }]
  ) {
    totalCount
    nodes {
      name
      provider
      status
      statusReason { code message since field rawValue }
      webUrl
    }
    sources {
      instance { name }
      state
      rowCount
      asOf
      error { code message }
    }
  }
}
""",
    ),
    Example(
        "What is stale",
        """\
# What should have run by its schedule and did not bring anything: the longest overdue first.
query WhatIsStale {
  connections(
    first: 25
    filter: { overdue: true }
    orderBy: { field: OVERDUE, direction: DESC }
  ) {
    totalCount
    nodes {
      name
      schedule { humanText }
      freshness {
        state
        lastSuccessAt
        expectedEverySeconds
        overdueBySeconds
      }
      statusReason { message }
    }
  }
}
""",
    ),
    Example(
        "A list screen",
        """\
# The whole header and first page of a list screen in one request: counts for each filter, rows, the total.
# Each list of counts leaves out its own condition, so that it offers the alternatives.
query ListScreen($filter: ConnectionFilter) {
  # The filter is in Variables, below.
  connectionFacets(filter: $filter) {
    status { value count }
    provider { value label count }
    workspace { value label count }
    sourceType { value label icon count }
    category { value count }
  }
  connections(
    first: 25
    filter: $filter
    orderBy: [{ field: LAST_RUN_AT, direction: DESC }]
  ) {
    totalCount
    nodes {
      id
      name
      status
      enabled
      running
      source { name type }
      destination { name type }
      lastRun { status startedAt }
    }
    pageInfo { hasNextPage endCursor }
    sources {
      instance { name }
      state
      asOf
      stale
      error { code retryAfter }
    }
  }
}
""",
        """\
{
  "filter": {
    "text": "sales",
    "enabled": true
  }
}""",
    ),
    Example(
        "What each provider adds",
        """\
# `details` has one member for each provider. Full records cost one more call each, made together.
query Details {
  airbyte: connections(first: 2, filter: { provider: [AIRBYTE] }) {
    nodes {
      name
      details {
        ... on AirbyteConnection {
          prefix
          namespaceDefinition
          syncCatalog {
            streams {
              stream { name }
              config { syncMode destinationSyncMode }
            }
          }
        }
      }
    }
  }
  workiva: connections(first: 2, filter: { provider: [WORKIVA] }) {
    nodes {
      name
      details {
        ... on WorkivaConnection {
          lastRun { sourceStatus destinationStatus error }
          lastRunSourceParameters
        }
      }
    }
  }
  unified: connections(first: 2, filter: { provider: [UNIFIED_TO] }) {
    nodes {
      name
      details {
        ... on UnifiedToConnection {
          authName
          authState
          authExpiresAt
          isPaused
        }
      }
    }
  }
}
""",
    ),
    Example(
        "Runs",
        """\
# What runs now, and the latest runs with what they moved. A provider without runs answers null.
query Runs {
  connections(first: 6, filter: { running: true }) {
    nodes {
      name
      running
      runs(first: 3) {
        totalCount
        nodes {
          id
          status
          startedAt
          endedAt
          recordsSynced
          bytesSynced
          error
        }
      }
    }
  }
}
""",
    ),
    Example(
        "What can be done",
        """\
# What a button may do to each connection now, and why not.
# Mutations take `dryRun: true` to show what they would send.
query WhatCanBeDone {
  connections(first: 10) {
    nodes {
      id
      name
      status
      can { capability allowed reason message }
    }
  }
  instances {
    name
    can { capability allowed reason }
  }
}
""",
    ),
    Example(
        "Instances",
        """\
# What is configured, what it can do, and whether calls to it are being made.
query Instances {
  instances {
    name
    provider
    providerLabel
    capabilities
    breaker
    asOf
  }
}
""",
    ),
)
