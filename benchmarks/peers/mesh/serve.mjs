// GraphQL Mesh under Hive Gateway's runtime: three REST APIs made into subgraphs, and over them the one graph of
// ../schema.mjs by additional resolvers that ask the subgraphs. `node serve.mjs PORT INSTANCES`

import { createServer } from 'node:http'
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime'
import { composeSubgraphs } from '@graphql-mesh/fusion-composition'
import * as rest from '@graphql-mesh/transport-rest'
import given from '../arguments.mjs'
import { resolversOver, typeDefs } from '../schema.mjs'
import { login } from '../upstreams.mjs'
import { asked, subgraphs } from './subgraphs.mjs'

const PAGE = 100
const session = await login(given.instances)
const { supergraphSdl, errors } = composeSubgraphs(await subgraphs(given.instances, session.headers))
if (errors?.length) throw new AggregateError(errors)

/** The resolvers of the other peers, over upstreams that are subgraphs of this request. */
const over = (context, info) => {
  const ask = async (subgraph, field, args = {}) =>
    context[subgraph].Query[field]({ root: {}, args, context, info, selectionSet: asked[field] })
  const lists = {
    airbyte: async () =>
      (await ask('airbyte', 'airbyteList', { input: { workspaceId: session.workspaceId } })).connections,
    workiva: async () => (await ask('workiva', 'workivaList')).body,
    async unified () {
      const rows = []
      while (true) {
        const page = await ask('unified', 'unifiedList', { offset: rows.length })
        rows.push(...page)
        if (page.length < PAGE) return rows
      }
    }
  }
  const ones = {
    airbyte: (connectionId) => ask('airbyte', 'airbyteOne', { input: { connectionId } }),
    workiva: async (id) => (await ask('workiva', 'workivaOne', { id })).body,
    unified: (id) => ask('unified', 'unifiedOne', { id })
  }
  return resolversOver({ rows: (instance) => lists[instance](), one: (instance, id) => ones[instance](id) }).Query
}

const gateway = createGatewayRuntime({
  supergraph: supergraphSdl,
  transports: { rest: rest.default ?? rest },
  additionalTypeDefs: typeDefs.replace('type Query', 'extend type Query'),
  additionalResolvers: {
    DateTime: resolversOver().DateTime,
    Query: {
      connections: (root, args, context, info) => over(context, info).connections(root, args),
      connection: (root, args, context, info) => over(context, info).connection(root, args)
    }
  },
  graphiql: false,
  landingPage: false,
  logging: false
})
createServer(gateway).listen(given.port, given.host)
process.on('SIGTERM', () => process.exit()) // the runtime would wait for what nobody ends
