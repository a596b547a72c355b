type PostgresError = Error & { readonly code?: string; readonly constraint?: string; readonly schema?: string }

/** Serialization failure, deadlock, and the two plan errors after which the connection was dropped: run it again. */
const RERUN = new Set(['40001', '40P01', '0A000', '26000'])
const UNIQUE_VIOLATION = '23505'
const LOCK_TIMEOUT = '55P03'
/** Statement timeout, shutdown and start-up of the server, one that only reads, too many connections, disk or memory full. */
const UNAVAILABLE = new Set(['57014', '57P01', '57P02', '57P03', '25006', '53300', '53100', '53200'])

const codeOf = (error: unknown): string => (error as PostgresError | undefined)?.code ?? ''
const isSqlState = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code)

/** Whether the transaction lost to another one, or to a changed plan, and may simply be run again. */
export const isRerunnable = (error: unknown): boolean => RERUN.has(codeOf(error))

/** Whether a unique constraint said no; with `constraint`, whether it was that one. */
export const isUniqueViolation = (error: unknown, constraint?: string): boolean =>
  codeOf(error) === UNIQUE_VIOLATION && (!constraint || (error as PostgresError).constraint === constraint)

/** Whether somebody else held the row for longer than `lock_timeout`. */
export const isLockTimeout = (error: unknown): boolean => codeOf(error) === LOCK_TIMEOUT

/** Whether the connection broke, so that nobody said whether the last statement took effect. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error)
  if (code.startsWith('08') || code === '57P01' || code === '57P02') return true
  if (/^E[A-Z]+$/.test(code)) return true
  return (
    !isSqlState(code) &&
    error instanceof Error &&
    /connection terminated|connection.*(closed|ended|timeout)|not queryable|timeout exceeded when trying to connect|^timeout expired$/i.test(
      error.message,
    )
  )
}

/** Whether the database cannot be reached or is too busy: try again a little later. */
export const isUnavailable = (error: unknown): boolean => isConnectionLost(error) || UNAVAILABLE.has(codeOf(error))
