/**
 * The shape of Stoa as rules (docs/architecture.md, ADR 3). Each rule is proved by a planted violation in test/architecture.test.ts.
 * `$1` is the context of the importing file. Tests beside the code may import node and test libraries, nothing else more.
 */
const CONTEXT = '^src/contexts/([^/]+)/'
const TEST = '\\.test\\.ts$'
const INDEX = '^src/contexts/[^/]+/index\\.ts$'
const CLIENT = '-client\\.ts$'
const SOCKETS = '^(node:)?(http|https|http2|net|tls|dgram)$|node_modules/(undici|pg|stripe)/'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'kernel-knows-nothing',
      severity: 'error',
      from: { path: '^src/kernel/', pathNot: TEST },
      to: { pathNot: '^src/kernel/' },
    },
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: { path: `${CONTEXT}domain/`, pathNot: TEST },
      to: { pathNot: ['^src/contexts/$1/domain/', '^src/kernel/'] },
    },
    {
      name: 'domain-tests-stay-pure',
      severity: 'error',
      from: { path: `${CONTEXT}domain/.*${TEST}` },
      to: { path: '^src/', pathNot: ['^src/contexts/$1/domain/', '^src/kernel/'] },
    },
    {
      name: 'application-runs-only-domain',
      comment: 'Types only from platform and from other contexts: what it runs is handed to it as Needs.',
      severity: 'error',
      from: { path: `${CONTEXT}application/`, pathNot: TEST },
      to: {
        pathNot: ['^src/contexts/$1/(domain|application)/', '^src/kernel/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'application-knows-no-infrastructure',
      severity: 'error',
      from: { path: `${CONTEXT}application/` },
      to: { path: '^src/contexts/[^/]+/infrastructure/' },
    },
    {
      name: 'contexts-meet-at-index',
      severity: 'error',
      from: { path: CONTEXT },
      to: { path: '^src/contexts/', pathNot: ['^src/contexts/$1/', INDEX] },
    },
    {
      name: 'index-is-a-door',
      comment: 'A context does not enter itself by its own door: that is a cycle in the making.',
      severity: 'error',
      from: { path: `${CONTEXT}(domain|application|infrastructure)/` },
      to: { path: '^src/contexts/$1/index\\.ts$' },
    },
    {
      name: 'contexts-know-no-process',
      comment: 'Of what stands around the contexts only the type of the configuration.',
      severity: 'error',
      from: { path: CONTEXT },
      to: {
        path: '^src/',
        pathNot: ['^src/(contexts|kernel|platform)/', '^src/config\\.ts$'],
      },
    },
    {
      name: 'only-types-of-the-configuration',
      severity: 'error',
      from: { path: '^src/(contexts|platform)/' },
      to: { path: '^src/config\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'outside-enters-by-index',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/contexts/' },
      to: { path: '^src/contexts/', pathNot: INDEX },
    },
    {
      name: 'platform-knows-no-business',
      severity: 'error',
      from: { path: '^src/platform/' },
      to: { path: '^src/', pathNot: '^src/(platform|kernel)/' },
    },
    {
      name: 'sandbox-is-a-stranger',
      comment: 'The sandbox provider stands for a service of somebody else: it shares no code with Stoa.',
      severity: 'error',
      from: { path: '^src/sandbox/' },
      to: { path: '^src/', pathNot: '^src/sandbox/' },
    },
    {
      name: 'sandbox-is-only-started',
      severity: 'error',
      from: { path: '^src/(contexts|platform|kernel|audit)/' },
      to: { path: '^src/sandbox/' },
    },
    {
      name: 'audit-is-a-witness',
      comment:
        'The audit reads every schema and trusts no code of the contexts; nothing that it judges calls it. Only its number for /metrics is hung up by app.ts.',
      severity: 'error',
      from: { path: '^src/audit/', pathNot: TEST },
      to: { path: '^src/', pathNot: '^src/(audit|kernel|platform)/' },
    },
    {
      name: 'nobody-judged-calls-the-audit',
      severity: 'error',
      from: { path: '^src/(contexts|platform|kernel|sandbox)/|^src/app\\.ts$' },
      to: { path: '^src/audit/', pathNot: '^src/audit/measures\\.ts$' },
    },
    {
      name: 'only-clients-open-sockets',
      severity: 'error',
      from: { path: '^src/(contexts|kernel)/', pathNot: [CLIENT, TEST] },
      to: { path: SOCKETS, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-development-dependency-in-production',
      severity: 'error',
      from: { path: '^src/', pathNot: TEST },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node'],
      extensions: ['.ts', '.js', '.mjs'],
    },
  },
}
