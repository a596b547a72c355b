import type { FastifyRequest } from 'fastify'
import { refuse } from '#platform/problems.ts'

/** The ETag of this version. */
export const etagOf = (version: number): string => `"${version}"`

/**
 * The version that If-Match names: an ETag of a cached view begins with it, and proxies that compress make it weak.
 * Refuses platform.precondition-required and, for anything that is no ETag of ours, platform.stale.
 */
export function versionOf({ headers }: FastifyRequest): number {
  const given = headers['if-match']
  if (given === undefined) throw refuse('platform.precondition-required')
  const version = /^(?:W\/)?"(\d{1,9})(?:-[\w-]+)?"$/.exec(given.trim())?.[1]
  if (version === undefined) throw refuse('platform.stale')
  return Number(version)
}
