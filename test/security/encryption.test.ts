import { createSecretKey, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Refusal } from '#kernel/refusal.ts'
import { type Database, openDatabase } from '#platform/db/pool.ts'
import { insertKeys, newKey } from '#platform/security/data-keys.ts'
import { makeEncryption } from '#platform/security/encryption.ts'
import { openKeyRing } from '#platform/security/key-ring.ts'
import type { MasterKey } from '#platform/security/master-keys.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { fixedEncryption, fixedRing } from '../kit/key-ring.ts'

const place = { table: 'users.users', column: 'email', row: 'usr_1' }
const log = makeLog({ level: 'silent', sync: true })

describe('Encryption: a sealed value', () => {
  const encryption = fixedEncryption()
  const sealed = encryption.seal('ann@example.com ✓', place)

  it('opens again, and does not show what it is', () => {
    expect(encryption.open(sealed, place)).toBe('ann@example.com ✓')
    expect(sealed.includes('ann')).toBe(false)
    expect(encryption.open(encryption.seal('', place), place)).toBe('')
  })

  it.each([
    ['row', { ...place, row: 'usr_2' }],
    ['column', { ...place, column: 'name' }],
    ['table', { ...place, table: 'orders.orders' }],
  ])('does not open in another %s', (_, other) => {
    expect(() => encryption.open(sealed, other)).toThrow('does not open')
  })

  it('does not open with any one bit flipped, cut, or longer', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => encryption.open(changed, place)).toThrow()
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => encryption.open(sealed.subarray(0, length), place)).toThrow()
    }
    expect(() => encryption.open(Buffer.concat([sealed, Buffer.of(0)]), place)).toThrow()
  })

  it('never uses a nonce twice in 1,000,000', () => {
    const nonces = new Set<string>()
    for (let i = 0; i < 1_000_000; i++) nonces.add(encryption.seal('x', place).toString('latin1', 3, 15))
    expect(nonces.size).toBe(1_000_000)
  }, 120_000)

  it('names its key in two bytes: any of 32,767 opens what it sealed', () => {
    const high = makeEncryption(fixedRing(1, 32_767))
    const value = high.seal('x', place)
    expect([...value.subarray(0, 3)]).toEqual([2, 0x7f, 0xff])
    expect(high.open(value, place)).toBe('x')
  })

  it('indexes equal addresses equally, other values, fields and keys differently', () => {
    const index = encryption.blindIndex('josé@example.com', 'users.email')
    expect(index).toHaveLength(32)
    expect(encryption.blindIndex('  JOSE\u0301@Example.COM\n', 'users.email')).toEqual(index)
    expect(encryption.blindIndex('jose@example.com', 'users.email')).not.toEqual(index)
    expect(encryption.blindIndex('josé@example.com', 'orders.email')).not.toEqual(index)
    expect(fixedEncryption().blindIndex('josé@example.com', 'users.email')).not.toEqual(index)
  })

  it("opens a receipt only with the caller's secret, and never as a column", () => {
    const receipt = encryption.sealBytes(Buffer.from('{"token":"t"}'), 'key-1')
    expect(encryption.openBytes(receipt, 'key-1').toString()).toBe('{"token":"t"}')
    expect(() => encryption.openBytes(receipt, 'key-2')).toThrow()
    expect(() => encryption.open(receipt, place)).toThrow()
    expect(() => encryption.openBytes(sealed, 'key-1')).toThrow()
  })
})

describe('Encryption: data keys are kept wrapped under a master key', () => {
  const master = (id: number, byte?: number): MasterKey => ({
    id,
    secret: createSecretKey(byte === undefined ? randomBytes(32) : Buffer.alloc(32, byte)),
  })
  const databases: { server: TestDatabase; pool: Database }[] = []
  const fresh = async () => {
    const server = await testDatabase()
    const pool = openDatabase({ url: server.url, maxConnections: 5, connectTimeoutMs: 5_000, onIdleError: () => {} })
    databases.push({ server, pool })
    const ring = (...masterKeys: MasterKey[]) => openKeyRing({ db: pool.db, masterKeys, refreshMs: 1_000, log })
    const asOwner = async <Row>(text: string, values: unknown[] = []): Promise<Row[]> => {
      const client = new pg.Client({ connectionString: server.ownerUrl })
      await client.connect()
      return (await client.query({ text, values }).finally(() => client.end())).rows
    }
    return { server, db: pool.db, ring, asOwner }
  }
  afterAll(async () => {
    for (const { server, pool } of databases) {
      await pool.close()
      await server.drop()
    }
  })

  it('is made once by processes that start at once, and none of them knows another', async () => {
    const { ring, asOwner } = await fresh()
    const key = master(1)
    const rings = await Promise.all([ring(key), ring(key), ring(key), ring(key)])
    const [first, ...others] = rings.map(makeEncryption)
    const sealed = first!.seal('x', place)
    for (const other of others) {
      expect(other.open(sealed, place)).toBe('x')
      expect(other.blindIndex('x', 'users.email')).toEqual(first!.blindIndex('x', 'users.email'))
    }
    expect(await asOwner(`select purpose from platform.data_keys order by id`)).toEqual([
      { purpose: 'index' },
      { purpose: 'columns' },
      { purpose: 'receipts' },
    ])
  })

  it('does not open without its master key, nor with another under the same id: one line says so', async () => {
    const { ring } = await fresh()
    await ring(master(1))
    await expect(ring(master(2))).rejects.toThrow(/^ENCRYPTION_KEYS lacks key 1/)
    await expect(ring(master(1))).rejects.toThrow(/^ENCRYPTION_KEYS has another key 1 than/)
  })

  it('does not open for another purpose or under another id', async () => {
    const { ring, asOwner } = await fresh()
    const key = master(1)
    await ring(key)
    await asOwner(
      `update platform.data_keys set wrapped = (select wrapped from platform.data_keys where id = 2) where id = 3`,
    )
    await expect(ring(key)).rejects.toThrow('data key 3')
  })

  it("is beyond the service's role to change or to delete, but for its count", async () => {
    const { ring, server } = await fresh()
    await ring(master(1))
    const service = new pg.Client({ connectionString: server.url })
    await service.connect()
    await service.query('update platform.data_keys set seals = 1')
    for (const change of [`update platform.data_keys set wrapped = ''`, 'delete from platform.data_keys'])
      await expect(service.query(change)).rejects.toThrow('permission denied')
    await service.end()
  })

  it('counts how often it has sealed', async () => {
    const { ring, asOwner } = await fresh()
    const keys = await ring(master(1))
    const { seal } = makeEncryption(keys)
    for (let i = 0; i < 1_000; i++) seal('x', place)
    await keys.refresh()
    seal('x', place)
    await keys.refresh()
    expect(await asOwner(`select seals from platform.data_keys where purpose = 'columns'`)).toEqual([{ seals: '1001' }])
  })

  it('that is new is found when its first value is met: unavailable at first, then open; one that is none stays closed', async () => {
    const { ring, db, asOwner } = await fresh()
    const key = master(1)
    const [behind, ahead] = [await ring(key), await ring(key)]
    await insertKeys(db, [key], [newKey(4, 'receipts', true), newKey(5, 'columns', true)])
    await ahead.refresh()
    const sealed = makeEncryption(ahead).seal('x', place)
    expect(sealed[2]).toBe(5)
    const { open } = makeEncryption(behind)
    expect(() => open(sealed, place)).toThrow(Refusal)
    await pause(300)
    expect(open(sealed, place)).toBe('x')

    const unknown = Buffer.from(sealed)
    unknown[2] = 99
    expect(() => open(unknown, place)).toThrow(Refusal)
    await pause(300)
    expect(() => open(unknown, place)).toThrow('Sealed with a key that there is none of: 020063')
    await asOwner('delete from platform.data_keys where id >= 4')
  })

  describe('in a database from before there were data keys', () => {
    // Made by the version before, with a master key of 32 bytes 07.
    const old = {
      email: '010153d7ee86422f138c8d91d0608a3ce147a6b8680346684fdc2b14f0b2809e78e5750feb3c65f63a42498534',
      receipt: '0101b4a8045aec71bead76d8752161a19ee68092c86f917d281d89e3ead0c6f2ecdf0714a18b',
      index: 'ee568811ca0fd22549d85e427b12092bb81bd9dd922e3b2b01fde192c2cc7b4d',
    }
    let server: Awaited<ReturnType<typeof fresh>>
    beforeAll(async () => {
      server = await fresh()
      await server.asOwner(
        `insert into users.users (id, email, email_index, password_hash, roles, created_at, updated_at)
         values ('usr_1', decode($1, 'hex'), decode($2, 'hex'), 'x', '{customer}', now(), now())`,
        [old.email, old.index],
      )
    })

    it('the keys that were derived go on: what is sealed opens, indexes stay, and a version before reads what is written', async () => {
      const [fresh2, key] = [master(2), master(1, 7)]
      const { open, openBytes, seal, blindIndex } = makeEncryption(await server.ring(fresh2, key))
      expect(open(Buffer.from(old.email, 'hex'), place)).toBe('ann@example.com')
      expect(openBytes(Buffer.from(old.receipt, 'hex'), 'key-1').toString()).toBe('{"id":1}')
      expect(blindIndex('ann@example.com', 'users.email').toString('hex')).toBe(old.index)
      expect([...seal('x', place).subarray(0, 2)]).toEqual([1, 2])
      expect(open(seal('x', place), place)).toBe('x')
    })
  })
})
