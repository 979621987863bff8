// GraphQL Yoga on node's own server. `node yoga.mjs PORT INSTANCES`, and `jit` after that for compiled queries.

import { createServer } from 'node:http'
import { useGraphQlJit } from '@envelop/graphql-jit'
import { createSchema, createYoga } from 'graphql-yoga'
import given from './arguments.mjs'
import { resolversOver, typeDefs } from './schema.mjs'
import { connect } from './upstreams.mjs'

const resolvers = resolversOver(await connect(given.instances))
const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  plugins: given.option === 'jit' ? [useGraphQlJit()] : [],
  graphiql: false,
  landingPage: false,
  logging: false
})
createServer(yoga).listen(given.port, given.host)
