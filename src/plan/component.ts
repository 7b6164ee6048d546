/** pipelines/<component>.yaml: how one image of a release is made. Text in, values out; no I/O here. */
import { validRange } from 'semver'
import { z } from 'zod'
import { type Architecture, architectureNames, platformNames } from '../oci/platform.ts'
import { changedBy, changesOf } from './changes.ts'
import { GatePolicy } from './gate.ts'
import type { SourceChanges } from './source-changes.ts'

const ArchitectureName = z.enum(architectureNames)
const Absolute = z.string().regex(/^\/[^\0]*$/, 'an absolute path in the image')

const InsideSource = z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, 'a path inside the source')
const FileMode = z.string().regex(/^0[0-7]{3}$/, 'four octal digits')

/** Placeholders in braces are filled when a release is planned: plan/template.ts lists them. */
const Template = z.string().min(1)

/** What `go mod edit -replace=` takes on its two sides; a folder would be no published module. */
export const replaced = /^[^\s=@.-][^\s=@]*(@[^\s=@]+)?$/
export const replacement = /^[^\s=@.-][^\s=@]*@[^\s=@]+$/

/** A file of the component's own folder beside the pipelines. */
const BesideName = z.string().regex(/^[A-Za-z0-9][\w.+-]*$/, 'a file name')

const patches = z
  .array(BesideName)
  .min(1)
  .optional()
  .describe('files of pipelines/patches/<component>/, applied in this order: git’s diffs, exactly where they say. Recorded by digest')

const GoEdit = z.strictObject({
  dropReplace: z.array(z.string()).default([]).describe('module paths whose replace directive is dropped'),
  require: z.record(z.string(), Template).default({}).describe('module path → version that is required instead'),
  localReplaces: Template.optional().describe(
    'version at which each module is required that go.mod replaces by a folder; those replace directives are dropped. What dropReplace names is left as it is required',
  ),
  replace: z
    .record(
      z.string().regex(replaced, 'a module path, or path@version'),
      z.string().regex(replacement, 'path@version of a published module'),
    )
    .optional()
    .describe('module path, or path@version → `path@version` that takes its place: go mod edit -replace'),
  overrides: BesideName.optional().describe(
    'file of pipelines/overrides/<component>/ with arguments of go mod edit, one a line: `-replace a=a@v1.2.3`. Recorded by digest',
  ),
})

/** https://git-scm.com/docs/git-rev-parse: SHA-1, in full */
const Commit = z.string().regex(/^[0-9a-f]{40}$/, 'a commit: 40 hexadecimal digits')

export const GoModuleSource = z.strictObject({
  kind: z.literal('go-module'),
  module: z.string().min(1).describe('module path, as the module proxy knows it'),
  version: Template.default('{version}'),
  commits: z
    .record(z.string().regex(/^v\d[\w.+-]*$/, 'a version of the module'), Commit)
    .optional()
    .describe(
      'version of the module → the commit of its repository that has the version’s tag: what {commit} stands for, nothing where a version is not here. A module names none, so this is said and not proven; where the module proxy names one it must be the same',
    ),
  edit: GoEdit.extend({
    packages: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('what of the module is compiled, `./cmd/x`; default: all of it and of what is required. Others’ modules are not asked for'),
    tests: z.literal(true).optional().describe('what the tests of `packages` need takes part too'),
  })
    .optional()
    .describe('changes to the module’s own go.mod; recorded in lock, provenance and verify'),
  patches,
})
export const GitSource = z.strictObject({
  kind: z.literal('git'),
  url: z.string().regex(/^https:\/\//, 'an https URL'),
  tag: Template.default('{version}'),
  submodules: z.literal(true).optional().describe('its submodules are part of the source, at the commits that it names'),
  folder: InsideSource.optional().describe('the source is this folder of the repository alone, as if it were the root'),
  edit: GoEdit.optional().describe('changes to its go.mod, as in a module; its vendor/ takes no part then'),
  patches,
})
export const ArchiveSource = z.strictObject({ kind: z.literal('archive'), url: Template, patches })
export const Source = z.discriminatedUnion('kind', [GoModuleSource, GitSource, ArchiveSource])
export type Source = z.infer<typeof Source>

export const GoBuild = z.strictObject({
  kind: z.literal('go'),
  toolchain: z
    .string()
    .regex(/^go1\.\d+(\.\d+)?$/)
    .describe('GOTOOLCHAIN, exact'),
  commands: z
    .array(
      z.strictObject({
        package: z.string().describe('import path below the module, `.` or `./cmd/x`, or a full path of a required module'),
        output: Absolute,
        test: z.literal(true).optional().describe('the package’s tests as a program: `go test -c`'),
        setuid: z.literal(true).optional().describe('whoever runs it runs it as root: for what tests that this can be forbidden'),
      }),
    )
    .min(1),
  tags: z.array(z.string()).default([]),
  ldflags: z.array(Template).default([]),
  cgo: z
    .union([z.literal('all'), z.array(ArchitectureName)])
    .default([])
    .describe('architectures that need CGO_ENABLED=1'),
  libraries: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('C libraries that cgo links, by the names of their files under pipelines/libraries; static, compiled for each architecture'),
  boring: z
    .array(ArchitectureName)
    .min(1)
    .optional()
    .describe(
      'architectures whose programs hold BoringSSL’s cryptography (GOEXPERIMENT=boringcrypto); it brings cgo, and the files are looked at',
    ),
  pie: z
    .array(ArchitectureName)
    .min(1)
    .optional()
    .describe('architectures whose programs are position-independent (-buildmode=pie), linked statically; it brings cgo'),
})
export type GoBuild = z.infer<typeof GoBuild>

/** C files that one call of the compiler makes a static program of; what a Makefile would do is not run. */
export const CBuild = z.strictObject({
  kind: z.literal('c'),
  commands: z
    .array(
      z.strictObject({
        // the compiler takes it for neither an option nor a list of options
        sources: z
          .array(z.string().regex(/^(?!.*(^|\/)\.\.(\/|$))[A-Za-z0-9_][\w./+-]*\.c$/, 'a C file inside the source'))
          .min(1)
          .describe('paths below the source’s root'),
        output: Absolute,
      }),
    )
    .min(1),
  cflags: z.array(Template).default([]).describe('besides -static, which every program has'),
})
/** A recipe with RUN steps; needs a builder that can run them (docker, buildkit). */
export const RecipeBuild = z.strictObject({ kind: z.literal('recipe'), outputs: z.array(Absolute).min(1), reason: z.string() })
const OthersProgram = z.strictObject({
  component: z.string().describe('whose build makes it'),
  program: Absolute.describe('where that build puts it'),
  output: Absolute,
})
export type OthersProgram = z.infer<typeof OthersProgram>
/** Programs that other components of the release make: nothing is compiled twice, and nothing is compiled otherwise. */
export const CollectBuild = z.strictObject({ kind: z.literal('collect'), from: z.array(OthersProgram).min(1) })
/** Nothing is compiled: `files`, programs that other components make, and files of this very release. */
export const FilesBuild = z.strictObject({
  kind: z.literal('files'),
  from: z.array(OthersProgram).default([]),
  release: z
    .strictObject({
      program: Absolute.optional().describe('where the release’s own program goes'),
      installer: Absolute.optional().describe(
        'folder of installer.sh and of what it installs: the tarball, the core list, platforms.txt, and the sums of these',
      ),
    })
    .optional(),
})
export const Build = z.discriminatedUnion('kind', [GoBuild, CBuild, RecipeBuild, CollectBuild, FilesBuild])
export type Build = z.infer<typeof Build>

/** What a build takes of other components. */
export function othersPrograms(build: Build | undefined): readonly OthersProgram[] {
  return build?.kind === 'collect' || build?.kind === 'files' ? build.from : []
}

/** Names of the components whose programs a build collects. */
export function collectedComponents(build: Build | undefined): ReadonlySet<string> {
  return new Set(othersPrograms(build).map((each) => each.component))
}

/** What of the release itself an image carries; undefined = nothing. */
export function carriedRelease(build: Build | undefined): z.infer<typeof FilesBuild>['release'] {
  return build?.kind === 'files' ? build.release : undefined
}

/** Image paths of the programs that a build makes or collects. */
export function programPaths(build: Build | undefined): readonly string[] {
  switch (build?.kind) {
    case undefined:
      return []
    case 'go':
    case 'c':
      return build.commands.map((command) => command.output)
    case 'recipe':
      return build.outputs
    case 'collect':
      return build.from.map((each) => each.output)
    case 'files':
      return [...build.from.map((each) => each.output), ...(build.release?.program === undefined ? [] : [build.release.program])]
  }
}

/** Whether a C compiler takes part when the build is made for an architecture. */
export function needsCCompiler(build: Build | undefined, architecture: Architecture): boolean {
  return build?.kind === 'c' || (build?.kind === 'go' && usesCgo(build, architecture))
}

/** BoringSSL is C, and a static PIE is linked by the C compiler. */
export function usesCgo({ cgo, boring, pie }: GoBuild, architecture: Architecture): boolean {
  // a text includes parts of itself: `all` must not be asked as a list is
  return cgo === 'all' || [cgo, boring, pie].some((list) => list?.includes(architecture) === true)
}

/** Names of the C libraries that are linked into programs for an architecture, none for what no C compiler links. */
export function linkedLibraries(build: Build | undefined, architecture: Architecture): readonly string[] {
  return build?.kind === 'go' && usesCgo(build, architecture) ? (build.libraries ?? []) : []
}

/** A file in the image that nothing compiles: written here, or taken from the source as it lies there. */
export const ImageFile = z.union([
  z.strictObject({ path: Absolute, mode: FileMode.default('0644'), text: z.string().describe('its whole content') }),
  z.strictObject({
    path: Absolute,
    mode: FileMode.default('0644'),
    from: InsideSource.describe('path below the source’s root'),
  }),
])
export type ImageFile = z.infer<typeof ImageFile>

/** As RPM takes names: https://rpm-software-management.github.io/rpm/manual/spec.html#name */
const PackageName = z.string().regex(/^[A-Za-z0-9_][\w.+-]*$/, 'a package’s name, without version')

/** An image of RFO's own: RKE2's release ships none in its place, so that no list gives it a tag or a group. */
export const OwnImage = z.strictObject({
  tag: z
    .string()
    .regex(/^(\{rfoTag\}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$/, 'a tag, or {rfoTag}')
    .describe('in place of a list’s: the placeholders {tag}, {version}, {core} come of it'),
  groups: z
    .array(z.string().regex(/^(?!all$)[a-z0-9]+(-[a-z0-9]+)*$/, 'the name of a group'))
    .default([])
    .describe('whose archives and lists hold it, a new one too; none: it is in the release’s oci/ alone'),
})

const ComponentFields = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  upstream: z
    .string()
    .regex(/^[a-z0-9.-]+(\/[a-z0-9._/-]+)?$/)
    .optional()
    .describe('repository in RKE2’s image list, without the registry'),
  own: OwnImage.optional().describe('instead of upstream: an image that RKE2 does not ship'),
  action: z.enum(['rebuild', 'mirror']),
  image: z
    .string()
    .optional()
    .describe('repository of RFO’s image; default: release.yaml’s rule for rebuilt, upstream’s name for mirrored ones'),
  tag: Template.optional().describe('RFO’s image tag; default: `{version}-build{date}` for rebuilt, upstream’s for mirrored ones'),
  source: Source.optional(),
  upstreamKey: z
    .string()
    .regex(/^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]{1,2000}-----END PUBLIC KEY-----\n?$/, 'a public key as PEM')
    .optional()
    .describe('of a mirrored image: `lock` takes none that this key has not signed as cosign does'),
  build: Build.optional(),
  config: z
    .strictObject({
      entrypoint: z.array(z.string()).optional(),
      cmd: z.array(z.string()).optional(),
      user: z.string().optional(),
      workdir: Absolute.optional(),
      env: z.record(z.string(), z.string()).optional(),
      labels: z.record(z.string(), z.string()).optional(),
    })
    .default({}),
  packages: z
    .array(PackageName)
    .default([])
    .describe('openEuler packages, by name, that the image needs besides the base; what they need comes with them'),
  files: z.array(ImageFile).default([]).describe('small files besides the programs: an entry script'),
  base: z.enum(['platform', 'scratch']).default('platform').describe('what the image stands on: the platform’s openEuler base, or nothing'),
  charts: z.boolean().default(false).describe('the image carries the release’s charts below /charts, as RKE2’s runtime image does'),
  layers: z.enum(['zstd', 'gzip']).default('zstd'),
  unsupported: z.partialRecord(ArchitectureName, z.string().min(1)).default({}).describe('architecture → why it is not provided'),
  deviates: z.strictObject({ from: z.string(), reason: z.string() }).optional().describe('a source other than upstream’s'),
  smoke: z
    .strictObject({ argv: z.array(z.string()).min(1), expect: Template })
    .optional()
    .describe('run in the image; the output must contain `expect`'),
})

/**
 * What is otherwise for some versions of RKE2: each member replaces the component's own as a whole, but for a source or build
 * without `kind`, which replaces members of the file's own, and of its `edit`.
 */
const Variant = z.strictObject({
  versions: z.string().refine((text) => validRange(text) !== null, 'a range of versions: `>=1.25.0 <1.26.0`'),
  ...ComponentFields.pick({ own: true, image: true, deviates: true, smoke: true }).shape,
  upstream: ComponentFields.shape.upstream,
  source: z.union([changesOf(GoModuleSource), changesOf(GitSource), changesOf(ArchiveSource), Source]).optional(),
  build: z
    .union([changesOf(GoBuild), changesOf(CBuild), changesOf(RecipeBuild), changesOf(CollectBuild), changesOf(FilesBuild), Build])
    .optional(),
  config: ComponentFields.shape.config.removeDefault().optional(),
  packages: z.array(PackageName).optional(),
  files: z.array(ImageFile).optional(),
  base: ComponentFields.shape.base.removeDefault().optional(),
  unsupported: ComponentFields.shape.unsupported.removeDefault().optional(),
})

export const ComponentText = ComponentFields.extend({
  when: z.array(Variant).default([]).describe('what is otherwise for some versions of RKE2; at most one of them fits a version'),
}).superRefine(({ source, build, when }, at) => {
  for (const [index, variant] of when.entries()) {
    const changed = [
      ['source', Source.safeParse(variant.source === undefined ? source : changedBy(source, variant.source))],
      ['build', Build.safeParse(variant.build === undefined ? build : changedBy(build, variant.build))],
    ] as const
    for (const [name, { error }] of changed) {
      if (variant[name] === undefined || error === undefined) continue
      // zod’s own issues, where the variant says it: a flag of C’s compiler for Go
      for (const issue of error.issues) at.addIssue({ ...issue, path: ['when', index, name, ...issue.path] } as never)
    }
  }
})
export type ComponentText = z.infer<typeof ComponentText>

/** One version's component: its variants have been decided. */
export const Component = ComponentFields
export type Component = z.infer<typeof Component> & {
  /** the files that its source names, once they have been read */
  readonly changes?: SourceChanges
}

/** A spec of the conformance suite that may fail, for as long as somebody answers for it. */
export const KnownFailure = z.strictObject({
  spec: z.string().min(1).describe('its whole name, as the suite prints it'),
  reason: z.string().min(1),
  until: z.iso.date().describe('the last day, UTC, on which its failure is excused'),
  platforms: z.array(z.enum(platformNames)).min(1).optional().describe('default: all of them'),
})
export type KnownFailure = z.infer<typeof KnownFailure>

/** How a group of images is packed for a site. */
export const archiveKinds = ['tar.zst', 'tar.gz'] as const
export type ArchiveKind = (typeof archiveKinds)[number]

/** pipelines/release.yaml: what holds for all components. */
export const ReleaseFile = z.strictObject({
  name: z.string(),
  vendor: z.string(),
  url: z.string(),
  fingerprints: z
    .array(z.string().min(1).max(1000))
    .min(1)
    .optional()
    .describe('places where the fingerprints of the release keys are published, besides releases; default: ask the vendor at url'),
  registry: z.string().describe('where RFO’s images live, e.g. docker.io'),
  repository: z.string().describe('prefix of rebuilt images, e.g. rfolabs'),
  platforms: z.array(z.enum(platformNames)).min(1),
  demands: z
    .strictObject({
      conformance: z.array(z.enum(platformNames)).default([]),
      checks: z.array(z.enum(platformNames)).default([]),
      cis: z.array(z.enum(platformNames)).default([]),
      knownFailures: z.array(KnownFailure).default([]),
    })
    .default({ conformance: [], checks: [], cis: [], knownFailures: [] })
    .describe('evidence without which what is made is a candidate and no release'),
  archives: z
    .array(z.enum(archiveKinds))
    .refine((kinds) => kinds.includes('tar.zst') && new Set(kinds).size === kinds.length, 'tar.zst, and what else each once')
    .default(['tar.zst'])
    .describe('in which forms groups of images are packed; tar.gz is for sites that have no zstd, and three to four times as slow to read'),
  gate: GatePolicy.optional().describe('which vulnerabilities may be shipped; absent: nobody looks'),
  submission: z
    .strictObject({
      documentation_url: z.url(),
      description: z.string().min(1).describe('one sentence'),
      repo_url: z.url().optional(),
      product_logo_url: z.url().optional(),
      contact_email_address: z.email().optional(),
    })
    .optional()
    .describe('what the CNCF’s PRODUCT.yaml says besides name, vendor and url, in its own words'),
  bases: z.record(
    z.enum(platformNames),
    z.strictObject({
      name: z.string(),
      reference: z.string(),
      reason: z.string().optional(),
      repositories: z
        .array(
          z.strictObject({
            name: z.string().regex(/^[A-Za-z0-9][\w.-]*$/, 'a short name'),
            url: z
              .string()
              .regex(/^https?:\/\/[^?#]+\/$/, 'an http or https URL that ends with a slash')
              .describe('the folder that holds repodata/; {arch} is RPM’s name of the architecture'),
          }),
        )
        .default([])
        .describe('where the packages come from that components name; of the same package in two the first counts'),
    }),
  ),
})
export type ReleaseFile = z.infer<typeof ReleaseFile>

/** pipelines/upstream/<tag>.yaml: what RKE2 ships at a tag, as recorded from its own scripts. */
export const UpstreamRelease = z.strictObject({
  version: z.string(),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  date: z.string().describe('commit date, ISO 8601'),
  how: z.string(),
  groups: z.record(z.string(), z.array(z.string()).min(1)).describe('group → image references, in RKE2’s order'),
  unlisted: z.array(z.string()).default([]).describe('images that RKE2 puts into others and lists nowhere'),
  charts: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      url: z.string(),
      digest: z.string().nullable(),
      bootstrap: z.boolean().optional().describe('a node needs it to become ready'),
    }),
  ),
})
export type UpstreamRelease = z.infer<typeof UpstreamRelease>
