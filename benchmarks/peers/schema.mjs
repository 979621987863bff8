// The graph that every peer serves: the one of benchmarks/plain.py, for as much of it as is measured.

import { GraphQLScalarType } from 'graphql'
import { ofAirbyte, ofUnified, ofWorkiva, split } from './connections.mjs'

export const typeDefs = /* GraphQL */ `
  scalar DateTime

  enum Provider {
    AIRBYTE
    WORKIVA
    UNIFIED_TO
  }

  type Endpoint {
    id: String
    name: String
    type: String
  }

  type Run {
    status: String!
    startedAt: DateTime
    endedAt: DateTime
  }

  type Connection {
    id: ID!
    provider: Provider!
    nativeId: String!
    name: String
    status: String!
    enabled: Boolean
    running: Boolean
    description: String
    source: Endpoint
    destination: Endpoint
    lastRun: Run
    createdAt: DateTime
    updatedAt: DateTime
    createdBy: String
    workspaceId: String
    environment: String
    externalRef: String
    categories: [String!]!
    permissions: [String!]!
    schemaChange: String
    lastHealthyAt: DateTime
    lastUnhealthyAt: DateTime
    webUrl: String
  }

  type Page {
    nodes: [Connection!]!
  }

  input ConnectionFilter {
    provider: [Provider!]
  }

  type Query {
    connections(first: Int! = 25, filter: ConnectionFilter = null): Page!
    connection(id: ID!): Connection
  }
`

// Times are passed on as the upstreams wrote them, unread: RFC 3339, which is what a client is promised.
const DateTime = new GraphQLScalarType({ name: 'DateTime', serialize: (text) => text })

const CONVERTED = { airbyte: ofAirbyte, workiva: ofWorkiva, unified: ofUnified }
const INSTANCES = { AIRBYTE: 'airbyte', WORKIVA: 'workiva', UNIFIED_TO: 'unified' }
const EVERYBODY = Object.keys(INSTANCES)

/** The resolvers over these upstreams. All lists are asked for at once; nothing is kept. */
export function resolversOver (upstreams) {
  const listed = async (provider) => {
    const instance = INSTANCES[provider]
    return (await upstreams.rows(instance)).map(CONVERTED[instance])
  }
  return {
    DateTime,
    Query: {
      async connections (_, { first, filter }) {
        const lists = await Promise.all((filter?.provider ?? EVERYBODY).map(listed))
        return { nodes: byName(lists.flat()).slice(0, first) }
      },
      async connection (_, { id }) {
        const [instance, nativeId] = split(id)
        return CONVERTED[instance](await upstreams.one(instance, nativeId))
      }
    }
  }
}

/** Sorted by name without regard to case. Each key is made once. */
function byName (rows) {
  const keyed = rows.map((row) => ({ row, key: (row.name ?? '').toLowerCase() }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return keyed.map((each) => each.row)
}
