// From the upstreams' records to connections, field by field as benchmarks/plain.py makes them: an empty time is none.
// Nothing is kept.

const JOBS = { succeeded: 'HEALTHY', failed: 'FAILING', running: 'RUNNING', pending: 'QUEUED' }
const RUNS = { succeeded: 'SUCCEEDED', failed: 'FAILED', running: 'RUNNING', pending: 'QUEUED' }
const NONE = Object.freeze([])

/** The global id of a native id. */
const idOf = (instance, nativeId) => Buffer.from(`c1:${instance}:${nativeId}`).toString('base64url')

/** The instance and the native id that a global id holds. */
export function split (id) {
  const [, instance, nativeId] = Buffer.from(id, 'base64url').toString().split(':')
  return [instance, nativeId]
}

/** From Airbyte's record, whose times are seconds. */
export function ofAirbyte (row) {
  const job = row.latestSyncJobStatus
  const at = row.latestSyncJobCreatedAt == null ? null : new Date(row.latestSyncJobCreatedAt * 1000).toISOString()
  const isActive = row.status === 'active'
  return {
    id: idOf('airbyte', row.connectionId),
    provider: 'AIRBYTE',
    nativeId: row.connectionId,
    name: row.name,
    status: isActive ? (JOBS[job] ?? 'NEVER_RAN') : 'PAUSED',
    enabled: isActive,
    running: row.isSyncing,
    description: null,
    source: { id: row.source.sourceId, name: row.source.name, type: row.source.sourceName },
    destination: { id: row.destination.destinationId, name: row.destination.name, type: null },
    lastRun: job ? { status: RUNS[job] ?? 'CANCELLED', startedAt: at, endedAt: null } : null,
    createdAt: null,
    updatedAt: at,
    createdBy: null,
    workspaceId: row.workspaceId ?? null,
    environment: null,
    externalRef: null,
    categories: NONE,
    permissions: NONE,
    schemaChange: row.schemaChange.toUpperCase(),
    lastHealthyAt: null,
    lastUnhealthyAt: null,
    webUrl: `/connections/${row.connectionId}`
  }
}

/** From Wdata's record. */
export function ofWorkiva (row) {
  const lastRun = row.lastRun ? runOf(row.lastRun) : null
  return {
    id: idOf('workiva', row.connectionId),
    provider: 'WORKIVA',
    nativeId: row.connectionId,
    name: row.name,
    status: lastRun === null ? 'NEVER_RAN' : lastRun.status === 'FAILED' ? 'FAILING' : 'HEALTHY',
    enabled: true,
    running: false,
    description: row.description,
    source: { id: row.sourceId, name: null, type: row.sourceType },
    destination: { id: row.destinationId, name: null, type: row.destinationType },
    lastRun,
    createdAt: row.created || null,
    updatedAt: row.updated || null,
    createdBy: row.createdBy ?? null,
    workspaceId: row.workspaceId ?? null,
    environment: null,
    externalRef: null,
    categories: NONE,
    permissions: NONE,
    schemaChange: null,
    lastHealthyAt: null,
    lastUnhealthyAt: null,
    webUrl: null
  }
}

function runOf (row) {
  const hasFailed = row.sourceStatus === 'error' || row.destinationStatus === 'error'
  return {
    status: hasFailed ? 'FAILED' : 'SUCCEEDED',
    startedAt: row.created || null,
    endedAt: row.updated || null
  }
}

/** From Unified.to's record. Its times are all written alike, so that texts compare as times do. */
export function ofUnified (row) {
  const healthyAt = row.last_healthy_at || null
  const unhealthyAt = row.last_unhealthy_at || null
  let status = healthyAt === null ? 'NEVER_RAN' : 'HEALTHY'
  if (unhealthyAt !== null && (healthyAt === null || unhealthyAt > healthyAt)) status = 'FAILING'
  const type = row.integration_type
  return {
    id: idOf('unified', row.id),
    provider: 'UNIFIED_TO',
    nativeId: row.id,
    name: row.integration_name || type,
    status: row.is_paused ? 'PAUSED' : status,
    enabled: !row.is_paused,
    running: false,
    description: null,
    source: { id: type, name: row.integration_name ?? null, type },
    destination: null,
    lastRun: null,
    createdAt: row.created_at || null,
    updatedAt: row.updated_at || null,
    createdBy: null,
    workspaceId: row.workspace_id ?? null,
    environment: row.environment ?? null,
    externalRef: row.external_xref ?? null,
    categories: row.categories,
    permissions: row.permissions,
    schemaChange: null,
    lastHealthyAt: healthyAt,
    lastUnhealthyAt: unhealthyAt,
    webUrl: null
  }
}
