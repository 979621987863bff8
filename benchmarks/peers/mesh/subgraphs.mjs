// The three REST APIs as subgraphs, described by JSON Schemas of the fields that are read.

import { loadGraphQLSchemaFromJSONSchemas } from '@omnigraph/json-schema'

const string = { type: 'string' }
const boolean = { type: 'boolean' }
const number = { type: 'number' }
const strings = { type: 'array', items: string }

const record = (title, properties) => ({ type: 'object', title, properties })
const list = (items) => ({ type: 'array', items })
const each = (names, type) => Object.fromEntries(names.split(' ').map((name) => [name, type]))

const airbyte = record('AirbyteRow', {
  ...each('connectionId name status workspaceId schemaChange latestSyncJobStatus', string),
  isSyncing: boolean,
  latestSyncJobCreatedAt: number,
  source: record('AirbyteSource', each('sourceId name sourceName', string)),
  destination: record('AirbyteDestination', each('destinationId name', string))
})
const workiva = record('WorkivaRow', {
  ...each('connectionId name description workspaceId sourceId sourceType destinationId destinationType', string),
  ...each('created createdBy updated', string),
  lastRun: record('WorkivaRun', each('sourceStatus destinationStatus created updated', string))
})
const unified = record('UnifiedRow', {
  ...each('id integration_type integration_name workspace_id environment external_xref', string),
  ...each('created_at updated_at last_healthy_at last_unhealthy_at', string),
  is_paused: boolean,
  categories: strings,
  permissions: strings
})

const OPERATIONS = {
  airbyte: {
    airbyteList: {
      method: 'POST',
      path: '/v1/web_backend/connections/list',
      requestSchema: record('AirbyteWorkspace', { workspaceId: string }),
      responseSchema: record('AirbyteList', { connections: list(airbyte) })
    },
    airbyteOne: {
      method: 'POST',
      path: '/v1/web_backend/connections/get',
      requestSchema: record('AirbyteId', { connectionId: string }),
      responseSchema: airbyte
    }
  },
  workiva: {
    workivaList: { path: '/api/v1/connections?limit=1000', responseSchema: record('WorkivaList', { body: list(workiva) }) },
    workivaOne: { path: '/api/v1/connections/{args.id}', responseSchema: record('WorkivaOne', { body: workiva }) }
  },
  unified: {
    unifiedList: {
      path: '/unified/connection?env=Production&limit=100&offset={args.offset}&sort=name&order=asc',
      argTypeMap: { offset: { type: 'integer' } },
      responseSchema: list(unified)
    },
    unifiedOne: { path: '/unified/connection/{args.id}', responseSchema: unified }
  }
}

/** What is selected of a subgraph, by the field that is asked. */
export const asked = Object.fromEntries(
  Object.values(OPERATIONS).flatMap((of) => Object.entries(of)).map(([name, { responseSchema }]) => [name, selection(responseSchema)])
)

function selection ({ type, properties, items }) {
  if (type === 'array') return selection(items)
  if (type !== 'object') return ''
  return `{ ${Object.entries(properties).map(([name, of]) => `${name} ${selection(of)}`).join(' ')} }`
}

/** All subgraphs, as composition takes them. */
export function subgraphs (instances, headers) {
  return Promise.all(
    Object.entries(OPERATIONS).map(async ([name, fields]) => ({
      name,
      schema: await loadGraphQLSchemaFromJSONSchemas(name, {
        endpoint: instances[name].base_url,
        operationHeaders: headers[name],
        operations: Object.entries(fields).map(([field, of]) => ({ type: 'Query', method: 'GET', field, ...of }))
      })
    }))
  )
}
