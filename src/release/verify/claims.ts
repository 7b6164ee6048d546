/**
 * What verify claims, and the test that makes each claim false. A claim without such a test is not printed:
 * test/release/claims.test.ts looks every one of them up.
 */
export const claims = {
  statement: {
    en: 'the release statement is signed by {fingerprint}',
    zh: '发布声明由 {fingerprint} 签名',
    test: 'test/release/verify.test.ts: a statement signed by another key is refused',
  },
  root: {
    en: 'the root is the digest of everything listed',
    zh: '根摘要覆盖全部清单',
    test: 'test/release/verify.test.ts: a root that does not cover the list is refused',
  },
  files: {
    en: '{count} files are as signed, none is missing',
    zh: '{count} 个文件与签名一致，无缺失',
    test: 'test/release/verify.test.ts: a flipped byte in a listed file is found',
  },
  extras: {
    en: 'nothing is there that no list covers',
    zh: '没有清单之外的内容',
    test: 'test/release/verify.test.ts: an added file is found',
  },
  blobs: {
    en: '{count} blobs have the digest that names them',
    zh: '{count} 个数据块与其摘要相符',
    test: 'test/release/verify.test.ts: a flipped byte in a layer is found',
  },
  images: {
    en: '{count} images hold the platform manifests that were signed',
    zh: '{count} 个镜像含有已签名的平台清单',
    test: 'test/release/verify.test.ts: a dropped platform manifest is found',
  },
  signatures: {
    en: '{count} indexes and manifests are signed twice, for cosign 2 and 3',
    zh: '{count} 个索引与清单具有双格式签名',
    test: 'test/release/verify.test.ts: a dropped image signature is found',
  },
  attestations: {
    en: '{count} attestations: provenance of every index and manifest, SBOM of every manifest',
    zh: '{count} 份证明：每个索引与清单的来源，每个清单的 SBOM',
    test: 'test/release/verify.test.ts: a dropped attestation is found',
  },
  checksums: {
    en: '{count} checksum lists say what the statement says',
    zh: '{count} 份校验和清单与声明一致',
    test: 'test/release/verify.test.ts: a checksum list that differs from the statement is found',
  },
  bundles: {
    en: '{count} digests of files have a signed bundle of their own',
    zh: '{count} 个文件摘要各有独立的签名包',
    test: 'test/release/other-keys.test.ts: a bundle of a single file about another one is found',
  },
  programs: {
    en: '{count} programs outside the images have a signed provenance: source, builder, parameters',
    zh: '镜像之外的 {count} 个程序具有已签名的来源证明：源码、构建者、参数',
    test: 'test/release/own-program.test.ts: a provenance about another program is found',
  },
  trust: {
    en: 'trust/ names the key that signed the statement, for every role',
    zh: 'trust/ 中各角色的密钥即为签名声明的密钥',
    test: 'test/release/other-keys.test.ts: trust metadata of another key is found',
  },
  sm2: {
    en: '{count} files are signed with SM2 and SM3 too, by {fingerprint}: the algorithm, not a certified module',
    zh: '{count} 个文件另有 SM2/SM3 签名，密钥 {fingerprint}：仅为算法，并非经认证的密码模块',
    test: 'test/release/other-keys.test.ts: an SM2 signature over other bytes is found',
  },
  pgp: {
    en: '{count} charts and package repositories are signed with PGP, by {fingerprint}',
    zh: '{count} 个 chart 与软件包仓库具有 PGP 签名，密钥 {fingerprint}',
    test: 'test/release/other-keys.test.ts: a PGP signature over other bytes is found',
  },
  keyless: {
    en: 'the statement and {count} indexes and manifests are signed by {identity} too, certified by {issuer}, by the trusted root {root}',
    zh: '声明以及 {count} 个索引与清单另由 {identity} 无密钥签名，由 {issuer} 认证，信任根 {root}',
    test: 'test/release/keyless.test.ts: a keyless bundle by another identity is refused',
  },
  tested: {
    en: '{platform}: the images that ship passed {passed} tests; {excused} failures are excused by plan.json',
    zh: '{platform}：所发布的镜像通过了 {passed} 项测试；plan.json 豁免的失败 {excused} 项',
    test: 'test/release/test-results.test.ts: a result about other images is refused',
  },
  expected: {
    en: 'the version is {version}, as expected',
    zh: '版本为预期的 {version}',
    test: 'test/release/verify.test.ts: another version than expected is refused',
  },
} as const satisfies Record<string, { readonly en: string; readonly zh: string; readonly test: string }>

export type ClaimName = keyof typeof claims

export interface Claim {
  readonly name: ClaimName
  readonly values: Readonly<Record<string, string | number>>
}

export function claimText(claim: Claim, lang: 'en' | 'zh'): string {
  return claims[claim.name][lang].replace(/\{(\w+)\}/g, (_, name: string) => String(claim.values[name] ?? ''))
}
