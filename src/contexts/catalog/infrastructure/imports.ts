import type { Perform } from '#platform/db/perform.ts'
import { hashFile, readCsv } from '#platform/files/csv.ts'
import { newId } from '#platform/ids.ts'
import { htmlToText, sanitiseHtml } from '#platform/security/html.ts'
import { applyReadings } from '../application/apply-readings.ts'
import { finishImport } from '../application/finish-import.ts'
import { type ImportProducts, importProducts } from '../application/import-products.ts'
import { importStock } from '../application/import-stock.ts'
import * as store from './import-store.ts'
import { lockProducts, saveProducts } from './product-store.ts'
import { lockStock, openStock, saveStock } from './stock-store.ts'

/** Makes the import of product files: one function for the command line, the API's job and the sample catalogue. */
export const makeImports = (perform: Perform): ImportProducts =>
  importProducts({
    ...store,
    perform,
    readRows: readCsv,
    hashFile,
    newImportId: () => newId('imp'),
    applyReadings: applyReadings({
      ...store,
      lockProducts,
      saveProducts,
      importStock: importStock({ ...store, openStock, lockStock, saveStock }),
      newProductId: () => newId('prod'),
      newVariantId: () => newId('var'),
      newImageId: () => newId('img'),
      sanitise: (given) => ({ given, text: htmlToText(given), ...sanitiseHtml(given) }),
    }),
    finishImport: finishImport({ ...store, lockProducts, saveProducts }),
  })
