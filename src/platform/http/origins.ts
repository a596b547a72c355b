import type { FastifyRequest } from 'fastify'
import { refuse } from '#platform/problems.ts'

type OriginOptions = {
  readonly production: boolean
  readonly corsOrigins: readonly string[]
  readonly publicUrl: string
  readonly storefrontUrl: string
}

export type Origins = {
  /** Whether pages of this origin may call. */
  readonly mayCall: (origin: string | undefined) => boolean
  /** Refuses platform.foreign-origin to other pages; without an Origin, only to what nothing but a cookie proves. */
  readonly refuseForeign: (request: FastifyRequest, provenBy: 'cookie' | 'more') => void
}

const LOCALHOST = /^http:\/\/(localhost|127\.0\.0\.1)(:\d{1,5})?$/

/** Whose pages may call: the shop's own, the origins that are named and, outside production, those of this machine. */
export function originsOf({ production, corsOrigins, publicUrl, storefrontUrl }: OriginOptions): Origins {
  const allowed = new Set([...corsOrigins, new URL(publicUrl).origin, new URL(storefrontUrl).origin])
  const mayCall: Origins['mayCall'] = (origin) =>
    origin !== undefined && (allowed.has(origin) || (!production && LOCALHOST.test(origin)))
  return {
    mayCall,
    refuseForeign: ({ headers: { origin } }, provenBy) => {
      if (!mayCall(origin) && (origin !== undefined || provenBy === 'cookie')) throw refuse('platform.foreign-origin')
    },
  }
}
