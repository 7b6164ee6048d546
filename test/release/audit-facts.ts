/** What audit.html is made from, small and, if asked, with names that somebody chose to be taken for markup. */
import { digestOf } from '../../src/oci/digest.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import type { AuditFacts } from '../../src/release/audit.ts'
import { sbomPath } from '../../src/release/lists.ts'
import { smallPlan } from './small-plan.ts'

export function auditFacts(plan: ReleasePlan = smallPlan()): AuditFacts {
  const file = (path: string) => ({ path, digest: digestOf(path), size: path.length * 1000 })
  const made = plan.images.flatMap((image) =>
    plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made').map((platform) => ({ image, platform })),
  )
  const content = (name: string) => ({
    manifest: digestOf(`manifest ${name}`),
    config: digestOf(`config ${name}`),
    layers: [digestOf('a layer of all'), digestOf(`layer ${name}`)],
  })
  return {
    plan,
    images: new Map(
      plan.images.map(({ component }) => [
        component,
        {
          index: digestOf(`index ${component}`),
          platforms: Object.fromEntries(
            made
              .filter((each) => each.image.component === component)
              .map(({ platform }) => [platform, content(`${component} ${platform}`)]),
          ),
        },
      ]),
    ),
    support: {
      platforms: {
        'linux/amd64': { status: 'bootable' },
        'linux/riscv64': {
          status: 'partial',
          missing: [{ reference: 'docker.io/rancher/c:v2', neededBy: 'chart-c', reason: 'upstream has no riscv64 image' }],
        },
      },
      matrix: [],
      defects: [],
    },
    sourceOf: 'a',
    files: [
      ...made.map(({ image, platform }) => file(sbomPath(image.component, platform))),
      ...['plan.json', 'install-rfo.sh', 'rfo.linux-amd64', 'rfo-images-core.linux-amd64.tar.zst', 'rfo-images.linux-riscv64.txt'].map(
        file,
      ),
      ...['rfo-images-all.linux-amd64.txt', 'charts/d-1.0.0+up1.tgz', 'rpm/stable/os+1/a b#c?.rpm'].map(file),
    ],
  }
}

export const hostile = `<script>alert(1)</script>"'\`&amp;\u202eexe\u0000\n--><img src=x onerror=alert(2)>`

/** The same, with `hostile` wherever a name or a text can stand. */
export function hostileFacts(): AuditFacts {
  const plan = smallPlan()
  const digest = digestOf('base')
  const facts = auditFacts({
    ...plan,
    version: hostile,
    vendor: hostile,
    url: `javascript:${hostile}`,
    upstream: { version: hostile, commit: hostile },
    bases: {
      'linux/amd64': {
        name: hostile,
        reference: hostile,
        reason: hostile,
        locked: { kind: 'image', name: hostile, reference: hostile, manifest: { mediaType: 'x', digest, size: 1 }, standIn: hostile },
      },
    },
    images: plan.images.map((image, i) => ({
      ...image,
      component: `${hostile}${i}`,
      reference: hostile,
      upstream: hostile,
      groups: [hostile],
      source: {
        kind: 'go-module' as const,
        module: hostile,
        version: hostile,
        edit: { dropReplace: [hostile], require: { [hostile]: hostile } },
      },
      deviates: { from: hostile, reason: hostile },
      locked: {
        fingerprint: digest,
        pin: [
          {
            kind: 'git' as const,
            url: `https://example.test/${hostile}`,
            tag: hostile,
            commit: hostile,
            archive: { url: `https://${hostile}`, digest, size: 1 },
          },
          { kind: 'archive' as const, url: hostile, digest, size: 1 },
          { kind: 'unresolved' as const, reason: hostile },
        ][i % 3] ?? { kind: 'unresolved' as const, reason: hostile },
        standIn: hostile,
      },
      platforms: { 'linux/amd64': { status: 'made' as const }, 'linux/riscv64': { status: 'unsupported' as const, reason: hostile } },
    })),
    charts: [
      { name: hostile, version: hostile, url: hostile, locked: { kind: 'chart', version: '1', url: hostile, digest, standIn: hostile } },
    ],
  })
  return {
    ...facts,
    sourceOf: hostile,
    support: {
      ...facts.support,
      platforms: { 'linux/amd64': { status: 'partial', missing: [{ reference: hostile, neededBy: hostile, reason: hostile }] } },
    },
    files: [...facts.files, ...[hostile, `../${hostile}`, 'javascript:alert(1)', `rpm/\ud800`].map((path) => ({ path, digest, size: 1 }))],
  }
}
