import type { FastifyInstance, RouteOptions } from 'fastify'

const routesOf = new WeakMap<FastifyInstance, RouteOptions[]>()

/** Keeps a list of every route as it is added: for 405 answers, the OpenAPI document and the tests that walk all routes. */
export function watchRoutes(app: FastifyInstance): void {
  const routes: RouteOptions[] = []
  routesOf.set(app, routes)
  app.addHook('onRoute', (route) => void routes.push(route))
}

/** Every route of this server, in the order they were added. */
export const allRoutes = (app: FastifyInstance): readonly RouteOptions[] => routesOf.get(app) ?? []

/** The methods that this address takes; none when nothing is there. */
export function allowedMethods(app: FastifyInstance, url: string): string[] {
  const path = url.split('?', 1)[0] ?? ''
  const matching = allRoutes(app).filter((route) => patternOf(route.url).test(path))
  return [...new Set(matching.flatMap((route) => route.method))].filter((method) => method !== 'OPTIONS').sort()
}

const patternOf = (url: string): RegExp =>
  new RegExp(
    `^${url
      .split('/')
      .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&')))
      .join('/')}$`,
  )
