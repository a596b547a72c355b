import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { closed, named } from '#platform/http/schemas.ts'
import type { AccessTokens } from '#platform/security/tokens.ts'

const Jwk = closed({
  kty: Type.String(),
  crv: Type.String(),
  x: Type.String(),
  kid: Type.String(),
  alg: Type.String(),
  use: Type.String(),
})

/** What stands outside `/v1`: the keys that other services check our access tokens with. */
export const rootRoutes =
  ({ jwks }: AccessTokens): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/.well-known/jwks.json',
      {
        schema: {
          operationId: 'readSigningKeys',
          summary: 'The public keys of access tokens (RFC 7517)',
          tags: ['auth'],
          response: { 200: named('Jwks', closed({ keys: Type.Array(Jwk) })) },
        },
        config: { permission: 'public', neverShed: true },
      },
      async (_request, reply) => {
        reply.header('cache-control', 'public, max-age=300')
        return jwks as never
      },
    )
  }
