import ts from 'typescript'

/** One file of `src/`, as the rules read it. */
export type Source = { readonly path: string; readonly text: string }

/** A rule about the text of one file: what is wrong with it, or nothing. */
export type SourceRule = (source: Source) => string | undefined

const SCHEMAS = ['catalog', 'orders', 'payments', 'users', 'platform'] as const
const TABLE_METHODS =
  /^(selectFrom|insertInto|updateTable|deleteFrom|using|innerJoin|leftJoin|rightJoin|fullJoin|from)$/

/** Files that may be longer than 250 lines, each with its reason. */
export const LONGER: Readonly<Record<string, string>> = {
  'src/contexts/orders/domain/order.ts': 'the whole life of an order, from its table of transitions down',
  'src/contexts/orders/infrastructure/schemas.ts': 'a list of shapes, without a decision in it',
}

/** Files that may put a name into SQL that is neither a parameter nor a literal, each with its reason. */
export const NAMES_IN_SQL: Readonly<Record<string, string>> = {
  'src/platform/db/roles.ts': 'role and database names in DDL, escaped: PostgreSQL takes no parameters there',
  'src/platform/db/migrate.ts': 'a setting of our own: SET takes no parameters',
  'src/platform/backup/save.ts': 'names from the catalogue, escaped: LOCK and COPY take no parameters',
  'src/platform/backup/load.ts': 'names from the catalogue, escaped: COPY and TRUNCATE take no parameters',
  'src/platform/messaging/wake.ts': 'the constant channel: LISTEN takes no parameters',
  'src/platform/db/finish.ts': 'names of CTEs, counted',
  'src/contexts/payments/infrastructure/save-changes.ts': 'names of CTEs, counted',
  'src/contexts/catalog/infrastructure/product-search.ts': "the type of the sort key, from the search's own table",
}

/** Those that look at every schema from outside: ADR 8. */
const WITNESSES = /^src\/(audit\/|cli\/show\.ts$)/

const contextOf = (path: string): string | undefined => /^src\/contexts\/([^/]+)\//.exec(path)?.[1]

/** The rules that no import graph can see, by name. Each is proved by a planted violation in architecture.test.ts. */
export const sourceRules: Readonly<Record<string, SourceRule>> = {
  'environment only in config.ts': ({ path, text }) =>
    path !== 'src/config.ts' && /process\.env|from 'node:process'/.test(codeOf(text))
      ? 'reads the environment: take it from the Config'
      : undefined,

  'no default export': ({ text }) => (/^export default\b/m.test(text) ? 'has a default export' : undefined),

  'at most 250 lines': ({ path, text }) => {
    const lines = text.split('\n').length - 1
    return lines > 250 && !(path in LONGER) ? `has ${lines} lines: split it by concept` : undefined
  },

  'nouns of the business, not of the machinery': ({ path }) =>
    /(^|[-/])(service|manager|helper|util|utils|impl|base|dto|misc)s?(-[a-z-]+)?\.ts$/.test(path)
      ? 'has a name that says nothing'
      : undefined,

  'named columns only': ({ text }) => {
    const found = sqlOf(text).find(({ sql }) => /\b(select|returning)\s+(distinct\s+)?(\w+\.)?\*/i.test(sql))
    if (found) return `has \`${found.sql.trim().slice(0, 60)}…\`: a named statement must name its columns`
    return /\.(selectAll|returningAll)\(/.test(text) ? 'selects all columns: name them' : undefined
  },

  'no SQL built from text': ({ path, text }) =>
    !(path in NAMES_IN_SQL) && buildsSql(text) ? 'builds SQL from text: bind values as parameters' : undefined,

  'SQL names its own schema only': ({ path, text }) => {
    const own = contextOf(path) ?? (path.startsWith('src/platform/') ? 'platform' : undefined)
    if (!own) return undefined
    const foreign = SCHEMAS.filter((schema) => schema !== own)
    const named = sqlOf(text).find(({ sql }) =>
      foreign.some((schema) => new RegExp(`\\b${schema}\\.[a-z_]+`).test(sql)),
    )
    return named && `names another schema in \`${named.sql.trim().slice(0, 80)}…\``
  },

  'whoever reads across schemas changes nothing': ({ path, text }) => {
    if (contextOf(path) || path.startsWith('src/platform/')) return undefined
    const found = sqlOf(text)
    if (found.length > 0 && !WITNESSES.test(path))
      return 'has SQL: that belongs in a context, the platform or the audit'
    const change = found.find(({ sql }) =>
      /\b(insert into|update|delete from|truncate)\s+[a-z_]+\.|for update\b/i.test(sql),
    )
    return change && `changes what it looks at: \`${change.sql.trim().slice(0, 60)}…\``
  },

  'time comes from the clock': ({ path, text }) => {
    if (!contextOf(path)) return undefined
    if (/\bnew Date\(\)|\bDate\.now\(\)/.test(codeOf(text)))
      return 'asks the machine for the time: use work.now or the clock'
    const asked = sqlOf(text).find(({ sql }) => /\b(now\(\)|current_timestamp|clock_timestamp\(\))/i.test(sql))
    return asked && 'asks the database for the time: bind work.now'
  },

  'a domain decides from its arguments alone': ({ path, text }) =>
    /^src\/contexts\/[^/]+\/domain\//.test(path) &&
    /\bMath\.random\(|\bcrypto\.|\bperformance\.now\(/.test(codeOf(text))
      ? 'draws from outside: ids, chance and time are arguments'
      : undefined,

  'only clients and the platform open sockets': ({ path, text }) =>
    contextOf(path) && !path.endsWith('-client.ts') && /\bfetch\(|\bnew WebSocket\(/.test(codeOf(text))
      ? 'opens a socket: that belongs in a file named <vendor>-client.ts'
      : undefined,
}

/** The text without its comments, so that a rule does not stumble over prose. */
const codeOf = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '')

/** Every piece of SQL in a file: `sql` templates, and the tables that Kysely's builder is given. */
function sqlOf(text: string): { readonly sql: string }[] {
  return nodesOf(text).flatMap((node) => {
    if (ts.isTaggedTemplateExpression(node) && node.tag.getText().startsWith('sql'))
      return [{ sql: literalOf(node.template) }]
    const call = methodCallOf(node)
    return call && (TABLE_METHODS.test(call.name) || call.name === 'query') && ts.isStringLiteralLike(call.first)
      ? [{ sql: call.first.text }]
      : []
  })
}

/** Whether text that is no literal becomes SQL: by `sql.raw`, or in what a client's `query` is given. */
export const buildsSql = (text: string): boolean =>
  nodesOf(text).some((node) => {
    const call = methodCallOf(node)
    if (call?.name === 'query') return ts.isTemplateExpression(call.first)
    return call?.name === 'raw' && !isConstant(call.first)
  })

const isConstant = (node: ts.Expression): boolean =>
  ts.isStringLiteralLike(node) ||
  (ts.isConditionalExpression(node) && isConstant(node.whenTrue) && isConstant(node.whenFalse))

function methodCallOf(node: ts.Node): { readonly name: string; readonly first: ts.Expression } | undefined {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined
  const [first] = node.arguments
  return first && { name: node.expression.name.text, first }
}

function nodesOf(text: string): ts.Node[] {
  const nodes: ts.Node[] = []
  const visit = (node: ts.Node): void => {
    nodes.push(node)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true))
  return nodes
}

const literalOf = (template: ts.TemplateLiteral): string =>
  ts.isNoSubstitutionTemplateLiteral(template)
    ? template.text
    : template.head.text + template.templateSpans.map((span) => `$1${span.literal.text}`).join('')

/** The codes that a file refuses with literally: `refuse('orders.empty')`. */
export function refusalsOf(text: string): string[] {
  return [...codeOf(text).matchAll(/\brefuse[A-Za-z]*\(\s*'([a-z-]+\.[a-z-]+)'/g)].map((match) => match[1]!)
}
