import { startSandbox } from '../../src/sandbox/server.ts'
import { freePort } from './free-port.ts'
import { type TestShop, testShop } from './shop.ts'

export type OpenShop = TestShop & {
  readonly url: string
  readonly sandbox: Awaited<ReturnType<typeof startSandbox>>
}

const SECRETS = { SANDBOX_SECRET_KEY: 'sk_sandbox_of_the_tests', SANDBOX_WEBHOOK_SECRET: 'whsec_of_the_tests_only' }

/** A shop that is open: it listens, works in the background, and has a sandbox provider beside it. */
export async function openShop(env: Record<string, string> = {}): Promise<OpenShop> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const sandbox = await startSandbox({
    port: 0,
    webhookUrl: `${url}/v1/payments/webhook/sandbox`,
    secret: SECRETS.SANDBOX_WEBHOOK_SECRET,
    apiKey: SECRETS.SANDBOX_SECRET_KEY,
  })
  const shop = await testShop({ SANDBOX_URL: sandbox.url, PUBLIC_URL: url, ...SECRETS, ...env })
  await shop.app.http.listen({ port, host: '127.0.0.1' })
  await shop.app.startWork()
  return {
    ...shop,
    url,
    sandbox,
    close: async () => {
      await shop.close()
      await sandbox.close()
    },
  }
}
