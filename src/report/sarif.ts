/** Findings for whoever collects them: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html */
import { exitCodes, exitFor, type RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import { printable } from './printable.ts'

/** What holds for the run besides its findings. */
export interface SarifRun {
  readonly toolVersion: string
  /** the folder that was looked at, as a person named it; nothing of this machine */
  readonly target: string
}

/** One run; a rule is one of our codes. The same findings give the same text. */
export function sarifText(findings: readonly RfoError[], run: SarifRun): string {
  const codes = [...new Set(findings.map(({ code }) => code))].sort()
  return sarifLog({
    toolVersion: run.toolVersion,
    rules: codes.map((id) => ({ id, properties: { exit: exitCodes[findings.find(({ code }) => code === id)?.exit ?? 'bug'] } })),
    exit: exitFor(findings),
    properties: { target: printable(run.target) },
    results: findings.map((finding) => resultOf(finding, codes)),
  })
}

export interface SarifLog {
  readonly toolVersion: string
  readonly rules: readonly Json[]
  readonly exit: number
  /** of the run */
  readonly properties: { readonly [key: string]: Json }
  readonly results: readonly Json[]
}

/** A log of one run of ours. */
export function sarifLog({ toolVersion, rules, exit, properties, results }: SarifLog): string {
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'rfo-build', version: toolVersion, informationUri: 'https://github.com/rfolabs/rfo-build', rules },
        },
        invocations: [{ executionSuccessful: true, exitCode: exit }],
        properties,
        // "columnKind" is about text regions, of which there are none; "results" must be there even when it is empty
        results,
      },
    ],
  }
  return `${JSON.stringify(log, null, 2)}\n`
}

function resultOf({ code, exit, message, where, next }: RfoError, codes: readonly string[]): Json {
  return {
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: exit === 'undecided' ? 'warning' : 'error',
    message: { text: printable(next === undefined ? message : `${message}; next: ${next}`) },
    ...(where === undefined ? {} : { locations: [locationOf(where)] }),
  }
}

/** A file of the release, relative to it; or a name of something that is no file, such as an image. */
function locationOf(where: string): Json {
  if (!/^[\w./+@-]+$/.test(where) || where.startsWith('/'))
    return { logicalLocations: [{ fullyQualifiedName: printable(where), kind: 'resource' }] }
  return { physicalLocation: { artifactLocation: { uri: where.split('/').map(encodeURIComponent).join('/') } } }
}
