import type { FastifyReply, FastifyRequest } from 'fastify'
import { DEVICE_TOKEN_SECONDS } from '#platform/security/device-tokens.ts'
import type { LoggedIn } from '../application/log-in.ts'
import { IDLE_SECONDS } from '../domain/session.ts'

const REFRESH = '__Host-stoa-refresh'
const DEVICE = '__Host-stoa-device'

/** No script reads it, no plain connection carries it, no other site sends it, and no other host sets it. */
const KEPT = { httpOnly: true, secure: true, sameSite: 'strict', path: '/' } as const

/** The refresh token that the browser keeps. */
export const refreshCookieOf = (request: FastifyRequest): string | undefined => cookieOf(request, REFRESH)

/** The device token that the browser keeps. */
export const deviceCookieOf = (request: FastifyRequest): string | undefined => cookieOf(request, DEVICE)

/** Gives the refresh token, and that of the device, to the browser to keep; the body is left without. */
export function keepInCookies(reply: FastifyReply, { refreshToken, deviceToken, ...loggedIn }: LoggedIn) {
  reply.setCookie(REFRESH, refreshToken, { ...KEPT, maxAge: IDLE_SECONDS })
  if (deviceToken !== undefined) reply.setCookie(DEVICE, deviceToken, { ...KEPT, maxAge: DEVICE_TOKEN_SECONDS })
  return { ...loggedIn, refreshToken: null }
}

/** Has the browser forget the refresh token that it showed. The device stays known. */
export function forgetRefreshCookie(request: FastifyRequest, reply: FastifyReply): void {
  if (refreshCookieOf(request) !== undefined) reply.clearCookie(REFRESH, KEPT)
}

function cookieOf({ server, headers: { cookie } }: FastifyRequest, name: string): string | undefined {
  return (cookie && server.parseCookie(cookie)[name]) || undefined
}
