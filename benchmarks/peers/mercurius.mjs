// Mercurius on Fastify, queries compiled from their first execution on. `node mercurius.mjs PORT INSTANCES`

import Fastify from 'fastify'
import mercurius from 'mercurius'
import given from './arguments.mjs'
import { resolversOver, typeDefs } from './schema.mjs'
import { connect } from './upstreams.mjs'

const app = Fastify()
app.register(mercurius, { schema: typeDefs, resolvers: resolversOver(await connect(given.instances)), jit: 1 })
await app.listen({ host: given.host, port: given.port })
