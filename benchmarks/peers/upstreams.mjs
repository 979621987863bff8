// The calls, over undici with sockets kept open. Tokens and the workspace are asked for once, at the start.

import { Agent, request } from 'undici'

const PAGE = 100

const dispatcher = new Agent({ connections: null, pipelining: 1 })

async function call (url, options) {
  const { statusCode, body } = await request(url, { dispatcher, ...options })
  if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`)
  return body.json()
}

const post = (url, headers, asked) =>
  call(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(asked) })

/** The headers of calls by instance, and the one workspace; `instances` as a configuration of the gateway has them. */
export async function login ({ airbyte, workiva, unified }) {
  const ofAirbyte = await post(`${airbyte.base_url}/v1/applications/token`, {}, airbyte.auth)
  const ofWorkiva = await call(`${workiva.base_url}/oauth2/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', ...workiva.auth }).toString()
  })
  const headers = {
    airbyte: { authorization: `Bearer ${ofAirbyte.access_token}` },
    workiva: { authorization: `Bearer ${ofWorkiva.access_token}` },
    unified: { authorization: `Bearer ${unified.auth.token}` }
  }
  const { workspaces } = await post(`${airbyte.base_url}/v1/workspaces/list`, headers.airbyte, {})
  return { headers, workspaceId: workspaces[0].workspaceId }
}

/** The upstreams, logged in. */
export async function connect (instances) {
  const { headers, workspaceId } = await login(instances)
  const get = (name, path) => call(instances[name].base_url + path, { headers: headers[name] })
  const posted = (path, asked) => post(instances.airbyte.base_url + path, headers.airbyte, asked)

  const lists = {
    airbyte: async () => (await posted('/v1/web_backend/connections/list', { workspaceId })).connections,
    workiva: async () => (await get('workiva', '/api/v1/connections?limit=1000')).body,
    async unified () {
      const rows = []
      while (true) {
        const asked = `env=Production&limit=${PAGE}&offset=${rows.length}&sort=name&order=asc`
        const page = await get('unified', `/unified/connection?${asked}`)
        rows.push(...page)
        if (page.length < PAGE) return rows
      }
    }
  }
  const ones = {
    airbyte: (connectionId) => posted('/v1/web_backend/connections/get', { connectionId }),
    workiva: async (id) => (await get('workiva', `/api/v1/connections/${id}`)).body,
    unified: (id) => get('unified', `/unified/connection/${id}`)
  }

  return {
    /** All rows of an instance. */
    rows: (instance) => lists[instance](),
    /** One row, by its native id. */
    one: (instance, id) => ones[instance](encodeURIComponent(id))
  }
}
