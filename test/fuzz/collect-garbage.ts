/** Loaded before a service by NODE_OPTIONS: it collects its garbage when told so by SIGUSR2. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (options: object) => void
process.on('SIGUSR2', () => collect({ type: 'major', execution: 'sync' }))
