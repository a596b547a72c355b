import { connect } from 'node:net'

const SILENT_MS = 2_000

/** Sends these bytes to a port of this machine; resolves with the first piece of the answer, fails when none comes. */
export function ask(port: number, bytes: string | Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(SILENT_MS, () => socket.destroy(new Error('It is silent.')))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('It hung up.')))
    socket.once('data', (data) => {
      resolve(data)
      socket.destroy()
    })
    socket.write(bytes)
  })
}
