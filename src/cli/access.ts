import { Command } from 'commander'
import pc from 'picocolors'
import { ruledFields } from '#platform/http/fields.ts'
import { allRoutes } from '#platform/http/routes.ts'
import type { App } from '../app.ts'
import { withShop } from './connect.ts'
import { table } from './table.ts'

export const command = new Command('access')
  .description('who may do what: every permission and the roles that have it, as the database has them now')
  .option('--routes', 'every route as well, with the permission that it and its fields ask for')
  .option('--json', 'print JSON')
  .action((options: { routes?: boolean; json?: boolean }) =>
    withShop(async (app) => {
      const access = await readAccess(app, options.routes ?? false)
      console.log(options.json ? JSON.stringify(access, null, 2) : report(access))
    }),
  )

export type Access = Awaited<ReturnType<typeof readAccess>>

/** Who may do what in this shop, and with `routes` what each route and its fields ask for. It stores the first roles where they are missing. */
export async function readAccess(app: App, routes: boolean) {
  await app.http.ready()
  const permissions = await app.contexts.users.readAccess()
  return routes ? { permissions, routes: routesOf(app) } : { permissions }
}

const routesOf = ({ http }: App) =>
  allRoutes(http).flatMap((route) =>
    [route.method]
      .flat()
      .filter((method) => method !== 'HEAD' && method !== 'OPTIONS')
      .map((method) => ({
        route: `${method} ${route.url}`,
        permission: route.config?.permission ?? '',
        fields: ruledFields(route),
      })),
  )

/** What was read, for people. */
export function report({ permissions, ...rest }: Access): string {
  const roles = Object.keys(permissions[0]?.roles ?? {})
  const matrix = table([
    ['permission', ...roles, 'allows to'].map((cell) => pc.dim(cell)),
    ...permissions.map(({ permission, allows, roles: has }) => [
      permission,
      ...roles.map((role) => (has[role] ? 'yes' : pc.dim('·'))),
      allows,
    ]),
  ])
  if (!('routes' in rest)) return matrix
  const routes = table([
    ['route', 'permission', 'fields'].map((cell) => pc.dim(cell)),
    ...rest.routes.map(({ route, permission, fields }) => [route, permission, fieldsAsText(fields)]),
  ])
  return `${matrix}\n\n${routes}`
}

/** `customers:read to read email, note`: the fields that ask for the same, together. */
const fieldsAsText = (fields: ReturnType<typeof ruledFields>): string =>
  [...Map.groupBy(fields, ({ may, permission }) => `${permission} to ${may}`)]
    .map(([what, same]) => `${what} ${same.map(({ field }) => field).join(', ')}`)
    .join('; ')
