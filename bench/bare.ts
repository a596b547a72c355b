/** A ceiling for reads: `node bench/bare.ts PORT URL` asks URL once and answers its bytes and headers for ever, by node:http alone. */
import { createServer } from 'node:http'

const [port, url = ''] = process.argv.slice(2)
const answer = await fetch(url)
const body = Buffer.from(await answer.arrayBuffer())
const ours = new Set(['connection', 'keep-alive', 'date', 'transfer-encoding', 'content-length'])
const headers = [...answer.headers].filter(([name]) => !ours.has(name)).flat()

createServer((_request, response) => {
  response.writeHead(200, [...headers, 'content-length', String(body.length)]).end(body)
}).listen(Number(port), '127.0.0.1')
