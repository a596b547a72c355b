/** Well-known ones that the list lacks, in lower case. */
const MORE = `
  changemechangeme contraseña correcthorsebatterystaple fortnite iamtheadmin letmeinplease login noonewillknow oldpassword
  openthedoor passphrase postgres stoa thepassword thisisapassword thisismypassword welcomeback yourpassword
`

let loaded: Promise<ReadonlySet<string>> | undefined

/**
 * The 49,000 most common passwords of published leaks, in lower case. Read on first use: 25 ms once, then 4.8 MB for as
 * long as the process lives, and nothing at the start.
 */
export function commonPasswords(): Promise<ReadonlySet<string>> {
  loaded ??= load()
  return loaded
}

async function load(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  return new Set([...dictionary['passwords-common'], ...MORE.trim().split(/\s+/)])
}
