import type { ImportId } from '#kernel/ids.ts'
import { systemActor } from '#platform/db/system.ts'
import type { Reactions, Reader } from '#platform/db/work.ts'
import { addJobs } from '#platform/jobs/queue.ts'
import type { Task } from '#platform/jobs/task.ts'
import type { ImportProducts } from '../application/import-products.ts'
import { readImport, uploadedSource } from './import-uploads.ts'

const TASK = 'catalog.import'

/** A file was uploaded and waits to be imported. */
export const importRequested = (id: ImportId) => ({
  type: 'catalog.import-requested.v1',
  subject: id,
  data: { importId: id },
})

/** Queues one job for each upload. */
export const importReactions: Reactions = {
  'catalog.import-requested.v1': {
    'catalog.queue-imports': (work, events) =>
      addJobs(
        work.tx,
        events.map(({ subject }) => ({ task: TASK, payload: { importId: subject }, key: subject })),
      ),
  },
}

/** Imports an upload; broken off and run again, it goes on where it stopped. */
export const importTasks = (reader: Reader, importProducts: ImportProducts): Record<string, Task> => ({
  [TASK]: async (payload, { signal }) => {
    const { importId } = payload as { importId: ImportId }
    const upload = await readImport(reader, importId)
    if (!upload || upload.status === 'finished' || upload.status === 'refused') return
    const source = uploadedSource(reader, importId, upload.fileName)
    await importProducts({ actor: systemActor, requestId: importId }, { source, options: upload.options, signal })
  },
})
