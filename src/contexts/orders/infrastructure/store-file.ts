import { readFileSync } from 'node:fs'
import { readStoreSettings, type StoreSettings } from '../domain/store-settings.ts'

/** Reads the merchant's settings when the service starts. Throws an Error that names the file and the wrong place in it. */
export function loadStoreSettings(file: string | undefined, currencies: readonly string[]): StoreSettings {
  if (file === undefined) return readStoreSettings({}, currencies)
  try {
    return readStoreSettings(JSON.parse(readFileSync(file, 'utf8')), currencies)
  } catch (error) {
    throw new Error(`STORE_FILE ${file}: ${(error as Error).message}`)
  }
}
