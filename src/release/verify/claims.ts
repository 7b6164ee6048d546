/**
 * What verify claims, and the test that makes each claim false. A claim without such a test is not printed:
 * test/release/claims.test.ts looks every one of them up.
 */
export const claims = {
  gate: {
    en: 'vulnerabilities: judged {mode}, as of {judged}, by advisories of {taken} ({digest}): {passed} passed, {suppressed} findings answered by VEX, {reported} reported',
    zh: '漏洞：按 {mode} 判定，截至 {judged}，依据 {taken} 的公告（{digest}）：通过 {passed} 个，VEX 已答复 {suppressed} 个，报告 {reported} 个',
    test: 'test/release/gate.test.ts: a statement that says otherwise than the scans is refused',
  },
  newest: {
    en: 'by advisories of {taken} ({digest}), the newest here: {found} findings ({critical} critical, {high} high, {medium} medium, {low} low, {unknown} unknown), {unseen} of them unknown when it was judged; no verdict: that is scan',
    zh: '依据此处最新的 {taken} 公告（{digest}）：{found} 个发现（严重 {critical}、高 {high}、中 {medium}、低 {low}、未知 {unknown}），其中 {unseen} 个在判定时尚未知；此处不作判定，请用 scan',
    test: 'test/release/newest-advisories.test.ts: newer advisories are counted, and other ones give another count',
  },
  noNewer: {
    en: 'no newer advisories are here than those of {taken}',
    zh: '此处没有比 {taken} 更新的公告',
    test: 'test/release/newest-advisories.test.ts: newer advisories are counted, and other ones give another count',
  },
  notJudged: {
    en: 'NOT JUDGED: {images}: {why}; shipped by {author}: {reason}; until {expires}',
    zh: '未判定：{images}：{why}；由 {author} 发布：{reason}；至 {expires}',
    test: 'test/release/gate.test.ts: a statement that says otherwise than the scans is refused',
  },
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
  sm3: {
    en: '{count} files have the SM3 that the statement says, too',
    zh: '{count} 个文件的 SM3 也与声明一致',
    test: 'test/release/policy.test.ts: an SM3 that is not the file’s is found by whoever asks for SM2',
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
  charts: {
    en: '{count} charts lie in oci/ as helm pulls them, with the archives that were signed, each signed by a bundle',
    zh: 'oci/ 中有 {count} 个可由 helm 拉取的 chart，内容与已签名的归档一致，各有签名包',
    test: 'test/release/other-keys.test.ts: a chart in oci/ without its provenance or its bundle, or with another archive, is found',
  },
  unjudged: {
    en: '{count} more signatures of this statement say that they are by {fingerprint}: no key was given to judge them by, they count for nothing',
    zh: '另有 {count} 个对此声明的签名自称来自 {fingerprint}：未给出可供判断的密钥，不计入',
    test: 'test/release/policy.test.ts: a second signature by a key that is not given counts for nothing, and must be one of this statement',
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
  slsa: {
    en: '{count} images and programs have provenance for SLSA Build L{level} (v1.0), not higher: a key alone does not show that a hosted platform built and signed',
    zh: '{count} 个镜像与程序的来源证明达到 SLSA Build L{level}（v1.0），不更高：仅凭密钥不能表明由托管平台构建并签名',
    test: 'test/release/policy.test.ts: a higher SLSA level than the evidence carries is not granted',
  },
  slsaBelieved: {
    en: '{count} images and programs have provenance for SLSA Build L{level} (v1.0), as far as the policy believes their builder',
    zh: '{count} 个镜像与程序的来源证明达到 SLSA Build L{level}（v1.0），以策略对其构建者的信任为限',
    test: 'test/release/policy.test.ts: a builder that the policy does not name, or that another one signs for, is refused',
  },
  mirrored: {
    en: '{count} mirrored manifests name the upstream image that they are, by digest: identity, not a build (SLSA Build L0)',
    zh: '{count} 个镜像副本清单按摘要指明其上游镜像：仅为同一性，并非构建（SLSA Build L0）',
    test: 'test/release/policy.test.ts: an image that the statement calls rebuilt and the provenance a mirror is found',
  },
  age: {
    en: 'the release is {days} days old, at most {most} are allowed',
    zh: '发布距今 {days} 天，允许至多 {most} 天',
    test: 'test/release/policy.test.ts: a release that is too old, or not born yet, is not decided',
  },
  archives: {
    en: '{count} archives hold the images that are signed, blob by blob, and nothing else',
    zh: '{count} 个归档逐块含有已签名的镜像，别无其他',
    test: 'test/release/deep.test.ts: an archive of other images than its name says is found',
  },
  layers: {
    en: '{count} layers unpack, within bounds, to the diff_ids of their images, and no path leaves the root',
    zh: '{count} 个层在限度内解包为其镜像的 diff_id，且无路径越出根目录',
    test: 'test/release/deep.test.ts: a layer that is not its diff_id, grows without bound or leaves the root is found',
  },
  contents: {
    en: '{count} tarballs, packages and charts hold what they list, and the program that is signed',
    zh: '{count} 个压缩包、软件包与 chart 的内容与其清单及已签名的程序一致',
    test: 'test/release/deep.test.ts: a tarball with another program, a package or chart with other files is found',
  },
  trust: {
    en: 'trust/ names the key that signed the statement',
    zh: 'trust/ 指明了签名声明的密钥',
    test: 'test/release/other-keys.test.ts: trust metadata of another key is found',
  },
  sm2: {
    en: '{count} files are signed with SM2 and SM3 too, by {fingerprint}: the algorithm, not a certified module',
    zh: '{count} 个文件另有 SM2/SM3 签名，密钥 {fingerprint}：仅为算法，并非经认证的密码模块',
    test: 'test/release/other-keys.test.ts: an SM2 signature over other bytes is found',
  },
  pgp: {
    en: '{count} charts, packages and package repositories are signed with PGP, by {fingerprint}',
    zh: '{count} 个 chart、软件包与软件包仓库具有 PGP 签名，密钥 {fingerprint}',
    test: 'test/release/other-keys.test.ts: a PGP signature over other bytes is found',
  },
  keyless: {
    en: 'the statement and {count} indexes and manifests are signed by {identity} too, certified by {issuer}, by the trusted root {root}',
    zh: '声明以及 {count} 个索引与清单另由 {identity} 无密钥签名，由 {issuer} 认证，信任根 {root}',
    test: 'test/release/keyless.test.ts: a keyless bundle by another identity is refused',
  },
  tested: {
    en: '{platform}: the images that ship passed {passed} tests of {kind}; {excused} failures are excused by plan.json, {notProven} are not proven',
    zh: '{platform}：所发布的镜像通过了 {passed} 项 {kind} 测试；plan.json 豁免的失败 {excused} 项，未证明 {notProven} 项',
    test: 'test/release/test-results.test.ts: a result about other images is refused',
  },
  authorized: {
    en: 'trust metadata (root {root}) lets {fingerprint} sign a release of this time, and nobody revoked it',
    zh: '信任元数据（root {root}）允许 {fingerprint} 签署此时间的发布，且未被吊销',
    test: 'test/release/trust.test.ts: a release of a revoked key is refused',
  },
  current: {
    en: '{version} is neither withdrawn nor older than the lowest of its line',
    zh: '{version} 未被撤回，也不低于该版本线的最低版本',
    test: 'test/release/trust.test.ts: a withdrawn release is refused, and one below the lowest of its line',
  },
  fresh: {
    en: 'what the trust metadata says holds until {until}',
    zh: '信任元数据的内容有效至 {until}',
    test: 'test/release/trust.test.ts: expired metadata decides nothing, and still revokes',
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
