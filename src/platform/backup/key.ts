import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'

/** What a backup is locked with: its recipient, and its identity where BACKUP_KEY is the secret half. */
export type BackupKey = { readonly recipient: string; readonly identity: string | undefined }

/** Reads BACKUP_KEY: `age1…` only locks, `AGE-SECRET-KEY-…` locks and unlocks. Throws one line that says how to make one. */
export async function readBackupKey(text: string): Promise<BackupKey> {
  if (text === '')
    throw new Error('BACKUP_KEY must be set, for backups are always locked: `stoa backup --new-key` prints a new one')
  const identity = text.startsWith('AGE-SECRET-KEY-') ? text : undefined
  try {
    const recipient = identity ? await identityToRecipient(identity) : text
    new Encrypter().addRecipient(recipient)
    if (identity) new Decrypter().addIdentity(identity)
    return { recipient, identity }
  } catch {
    throw new Error('BACKUP_KEY must be a key of age, age1… or AGE-SECRET-KEY-…: this one has a mistake in it')
  }
}

/** The half of BACKUP_KEY that unlocks. Throws one line where it is not that one. */
export async function readIdentity(text: string): Promise<string> {
  const { identity } = text === '' ? { identity: undefined } : await readBackupKey(text)
  if (identity) return identity
  throw new Error('BACKUP_KEY must be the half that unlocks, which begins with AGE-SECRET-KEY-')
}

/** A new key: the half that unlocks too, and the half that only locks. */
export async function makeBackupKey(): Promise<{ readonly secret: string; readonly public: string }> {
  const secret = await generateX25519Identity()
  return { secret, public: await identityToRecipient(secret) }
}
