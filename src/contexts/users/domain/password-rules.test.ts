import { describe, expect, it } from 'vitest'
import { refuseWeakPassword } from './password-rules.ts'

const weak = expect.objectContaining({ code: 'users.weak-password' })
const listed = new Set(['password', 'letmein', 'zaq12wsx', 'correcthorsebatterystaple', 'iloveyou', '0okm9ijn'])
const policy = { minLength: 8, listed, ownWords: ['ann-marie.lee@shop.example', 'Ann-Marie Lee', 'Mugs & More'] }
const choose =
  (password: string, change: object = {}) =>
  () =>
    refuseWeakPassword(password, { ...policy, ...change })

describe('passwords', () => {
  it.each([
    ['12345678'],
    ['password'],
    ['Password1'],
    ['PASSWORD12345678'],
    ['passwordpassword'],
    ['Password-Password!'],
    ['pass word 2024'],
    ['P@$$w0rd!!'],
    ['!!letmein!!2024'],
    ['0okm9ijn'],
    ['i l o v e y o u'],
    ['qwertyuiop'],
    ['qwertzui'],
    ['lkjhgfdsa'],
    ['abcdefghij'],
    ['abcdefgh2024'],
    ['98765432'],
    ['aaaaaaaaaaaaaaaaaaaa'],
    ['xyxyxyxyxyx'],
    ['12qw12qw12qw'],
    ['correct horse battery staple'],
    ['Zaq12wsx'],
  ])('refuse %s', (password) => expect(choose(password)).toThrow(weak))

  it.each([
    ['mug on the shelf'],
    ['        x'],
    ['j8#kP2!v'],
    ['пароль-от-лавки'],
    ['🐴🦄🦓🦌🐎🐈🐕🐇'],
    ['p'.concat('assword'.repeat(2), 'q')],
    ['no password of mine'],
  ])('take %s', (password) => expect(choose(password)).not.toThrow())

  it.each([
    ['ann-marie.lee@shop.example'],
    ['ann-marie.lee'],
    ['AnnMarieLee'],
    ['Lee 1987-2024'],
    ['Marie!!!1987'],
    ['mugs & more'],
    ['mugsmore2024'],
  ])("refuse %s, which is the person's or the shop's own", (password) => {
    expect(choose(password)).toThrow(weak)
    expect(choose(password, { ownWords: [] })).not.toThrow()
  })

  it('are as long as asked for, and at most 128 characters of any width', () => {
    expect(choose('fourteen chars', { minLength: 15 })).toThrow(weak)
    expect(choose('fifteen chars !', { minLength: 15 })).not.toThrow()
    const wide = [...'🐴🦄🦓🦌🐎🐈🐕🐇'].map((animal) => `${animal}${'🐴'.repeat(15)}`).join('')
    expect(choose(wide)).not.toThrow()
    expect(choose(`${wide}x`)).toThrow(weak)
  })
})
