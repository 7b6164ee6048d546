/**
 * A repository of RKE2's layout, small enough to compile in a test: its module, its main program at the root, the packages
 * whose variables are set at link time, the files whose paths are constants of the language, and the bundle. Modules that it
 * requires lie on a proxy. All of it is written here; it says what it was linked with.
 */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { ImagePlan } from '../../src/plan/release-plan.ts'
import { bundleFiles } from '../../src/sandbox/bundle.ts'
import { putModule } from '../source/go-proxy.ts'

const modules: Readonly<Record<string, readonly [version: string, files: Readonly<Record<string, string>>]>> = {
  'github.com/k3s-io/k3s': [
    'v1.24.8-0.20221104203806-c113444dacbb',
    {
      'pkg/version/version.go': `package version

import "strings"

var (
	Program      = "k3s"
	ProgramUpper = strings.ToUpper(Program)
	Version      = "dev"
	GitCommit    = "HEAD"
)
`,
    },
  ],
  'github.com/k3s-io/helm-controller': [
    'v0.13.0',
    { 'pkg/controllers/chart/chart.go': 'package chart\n\nvar DefaultJobImage = "example.org/job:none"\n' },
  ],
  // what makes RKE2's program a part of C
  'github.com/mattn/go-sqlite3': [
    'v1.14.15',
    {
      'sqlite3.go':
        'package sqlite3\n\n// static int seven(void) { return 7; }\nimport "C"\n\nfunc Seven() int { return int(C.seven()) }\n',
    },
  ],
}

const images = ['Registry', 'EtcdImage', 'KubernetesImage', 'PauseImage', 'RuntimeImage', 'CloudControllerManagerImage']

const sources: Readonly<Record<string, string>> = {
  'main.go': `package main

import (
	// cryptography, as the real one has
	_ "crypto/sha256"
	"os"

	"github.com/k3s-io/helm-controller/pkg/controllers/chart"
	"github.com/k3s-io/k3s/pkg/version"
	"github.com/mattn/go-sqlite3"
	"github.com/rancher/rke2/pkg/cli/cmds"
	"github.com/rancher/rke2/pkg/images"
	"github.com/rancher/rke2/pkg/podexecutor"
	"github.com/rancher/rke2/pkg/rke2"
)

func main() {
	name := os.Args[0]
	for at := len(name) - 1; at >= 0; at-- {
		if name[at] == '/' {
			name = name[at+1:]
			break
		}
	}
	println(name, "version", version.Version, "("+version.GitCommit+")")
	println(version.Program, version.ProgramUpper, chart.DefaultJobImage, sqlite3.Seven())
	println(${images.map((name) => `images.Default${name}`).join(', ')})
	println(cmds.Path(), podexecutor.Policy(), rke2.Policy())
}
`,
  'pkg/images/images.go': `package images\n\nvar (\n${images.map((name) => `\tDefault${name} = "unset"\n`).join('')})\n`,
  'pkg/cli/cmds/server.go': 'package cmds\n\nconst path = "/var/lib/rancher/rke2"\n\nfunc Path() string { return path }\n',
  'pkg/podexecutor/staticpod.go':
    'package podexecutor\n\nvar policy = "/etc/rancher/rke2/audit-policy.yaml"\n\nfunc Policy() string { return policy }\n',
  'pkg/rke2/rke2.go': 'package rke2\n\nconst policy = "/etc/rancher/rke2/audit-policy.yaml"\n\nfunc Policy() string { return policy }\n',
  LICENSE: 'Apache License\n',
}

export interface Rke2Source {
  readonly repository: string
  readonly commit: string
}

/** Below `dir`: a repository with one commit and its tag; the modules lie on `proxy` then. */
export async function putRke2(
  dir: string,
  proxy: string,
  image: ImagePlan,
  tag: string,
  tools: { go: string; git: string },
): Promise<Rke2Source> {
  const repository = join(dir, 'rke2')
  for (const [module, [version, files]] of Object.entries(modules))
    await putModule(proxy, module, version, { 'go.mod': `module ${module}\n\ngo 1.19\n`, ...files })
  const required = Object.entries(modules).map(([module, [version]]) => `\t${module} ${version}\n`)
  const bundle = bundleFiles(`https://github.com/rancher/rke2@${tag}`, image, '').filter(({ path }) => path.startsWith('bundle/'))
  const files: [string, string | Buffer][] = [
    ['go.mod', `module github.com/rancher/rke2\n\ngo 1.19\n\nrequire (\n${required.join('')})\n`],
    ...Object.entries(sources),
    ...bundle.map(({ path, bytes }): [string, Buffer] => [path, bytes]),
  ]
  for (const [path, text] of files) {
    await mkdir(dirname(join(repository, path)), { recursive: true })
    await writeFile(join(repository, path), text)
  }
  const run = promisify(execFile)
  // writes go.sum
  await run(tools.go, ['mod', 'tidy'], {
    cwd: repository,
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      GOPROXY: `file://${proxy}`,
      GOSUMDB: 'off',
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-mod=mod -modcacherw',
      GOMODCACHE: join(dir, 'mod'),
      GOCACHE: join(dir, 'cache'),
    },
  })
  const git = (...args: string[]) =>
    run(tools.git, ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null' },
    })
  await git('init', '--quiet', '-b', 'main')
  await git('add', '.')
  await git('commit', '--quiet', '-m', tag)
  await git('tag', tag)
  const { stdout } = await git('rev-parse', 'HEAD')
  return { repository, commit: stdout.trim() }
}
