/** The form of a release folder: every file that scripts rely on, by what its own plan and statement say, and no other. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { architectures, platformOf } from '../../src/oci/platform.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'

const dashed = (text: string): string => text.replaceAll('.', '_')

export async function readPlan(folder: string): Promise<ReleasePlan> {
  return JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8')) as ReleasePlan
}

export async function readPredicate(folder: string): Promise<ReleasePredicate> {
  return (JSON.parse(await readFile(join(folder, 'evidence/release.json'), 'utf8')) as { predicate: ReleasePredicate }).predicate
}

/** All files but blobs, sorted. */
export async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith('oci/blobs/sha256/'))
    .sort()
}

/** What a sandbox's release holds: its three keys sign. Written out by hand from the contract, not taken from the code. */
export function contractFiles(plan: ReleasePlan, predicate: ReleasePredicate): string[] {
  const rpmVersion = plan.version.slice(1).replace('+', '~')
  const perPlatform = plan.platforms.flatMap((platform) => {
    const { architecture } = platformOf(platform)
    const arch = architecture
    const made = plan.images.filter((image) => image.platforms[platform]?.status === 'made')
    const groups = [...new Set(made.flatMap((image) => image.groups))]
    const archives = [`rfo-images.linux-${arch}`, ...groups.map((group) => `rfo-images-${group}.linux-${arch}`)]
    const os = (plan.bases[platform]?.name ?? '').replace('openEuler ', '')
    const rpm = architectures[architecture].rpm
    const version = plan.version.slice(1).replace('+', '~')
    const repository = `rpm/stable/${version.split('.').slice(0, 2).join('.')}/openeuler/${os}/${rpm}`
    return [
      `rfo.linux-${arch}`,
      `rfo.linux-${arch}.tar.gz`,
      ...archives.flatMap((name) => [`${name}.tar.zst`, `${name}.txt`]),
      `rfo-images-all.linux-${arch}.txt`,
      ...['sha256sum', 'sm3sum'].flatMap((sum) => ['', '.sig', '.sm2', '.sigstore.json'].map((end) => `${sum}-${arch}.txt${end}`)),
      ...made.flatMap((image) => ['cdx', 'spdx', 'vuln'].map((form) => `sbom/${image.component}.linux-${arch}.${form}.json`)),
      ...[...archives.map((name) => `${name.replace(`.linux-${arch}`, '')}_tar_zst`), 'rfo_program', 'rfo_tar_gz'].map(
        (name) => `sbom/${name}.linux-${arch}.cdx.json`,
      ),
      ...['common', 'server', 'agent'].map((name) => `sbom/rfo-${name}-${dashed(version)}-1_${rpm}_rpm.linux-${arch}.cdx.json`),
      ...(made.some((image) => image.component === 'kube-explorer')
        ? [`sbom/kube-explorer-${dashed(explorerOf(plan))}-${dashed(version)}_${rpm}_rpm.linux-${arch}.cdx.json`]
        : []),
      ...['common', 'server', 'agent'].map((name) => `${repository}/Packages/rfo-${name}-${version}-1.${rpm}.rpm`),
      ...(made.some((image) => image.component === 'kube-explorer')
        ? [`${repository}/Packages/kube-explorer-${explorerOf(plan)}-${version}.${rpm}.rpm`]
        : []),
      `rpm/rfo-release-${version}-1.${rpm}.rpm`,
      `${repository}/repodata/repomd.xml`,
      `${repository}/repodata/repomd.xml.asc`,
    ]
  })
  return [
    ...perPlatform,
    ...[
      'install-rfo.sh',
      'verify.sh',
      'rfo-verify.cjs',
      'RELEASE.md',
      'RELEASE.zh.md',
      'audit.html',
      'images.lock',
      'advisories.json.zst',
      'plan.json',
      'platforms.txt',
      'SANDBOX',
    ],
    ...['common', 'server', 'agent'].map((name) => `sbom/rfo-${name}-${dashed(rpmVersion)}-1_src_rpm.cdx.json`),
    `sbom/kube-explorer-${dashed(explorerOf(plan))}-${dashed(rpmVersion)}_src_rpm.cdx.json`,
    ...['sbom/release.cdx.json', 'sbom/release.spdx.json'],
    ...['evidence/release.json', 'evidence/release.sigstore.json', 'evidence/release.sm2'],
    ...[...new Set(predicate.files.map((file) => `evidence/${file.digest.slice('sha256:'.length)}.sigstore.json`))],
    ...predicate.files
      .filter((file) => /^rfo\.linux-[a-z0-9]+$/.test(file.path))
      .map((file) => `evidence/${file.digest.slice('sha256:'.length)}.provenance.sigstore.json`),
    ...['trust/cosign.pub', 'trust/sm2.pub', 'trust/helm-keyring', 'trust/trust.json'],
    ...['oci/index.json', 'oci/oci-layout', 'rpm/RPM-GPG-KEY-rfo'],
    ...['rfo-common', 'rfo-server', 'rfo-agent', 'rfo-release', 'kube-explorer'].map((name) => `rpm/specs/${name}.spec`),
    ...['common', 'server', 'agent'].map((name) => `rpm/source/Packages/rfo-${name}-${rpmVersion}-1.src.rpm`),
    ...['rpm/source/repodata/repomd.xml', 'rpm/source/repodata/repomd.xml.asc'],
    `rpm/source/Packages/kube-explorer-${explorerOf(plan)}-${rpmVersion}.src.rpm`,
    ...plan.charts.flatMap((chart) => [`charts/${chart.name}-${chart.version}.tgz`, `charts/${chart.name}-${chart.version}.tgz.prov`]),
  ].sort()
}

function explorerOf(plan: ReleasePlan): string {
  return (plan.images.find((image) => image.component === 'kube-explorer')?.version ?? '').replace(/^v/, '')
}

/** Names of repodata hold digests: three lists a repository, and sources are one. */
export function withoutListings(files: readonly string[]): string[] {
  return files.filter((path) => !/\/repodata\/[0-9a-f]{64}-(primary|filelists|other)\.xml\.gz$/.test(path))
}
