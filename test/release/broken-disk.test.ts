/** A disk that can't read one file any more: exit 9 and which file, never a bug, never a verdict that it was forged. Nothing is left behind. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tool } from '../tools.ts'
import { readPredicate } from './form.ts'
import { madeProject, type Project, run, version } from './project.ts'

const gcc = tool('gcc')
let project: Project
let scratch: string
let archive: string
/** a blob of the release, relative to the project */
let blob: string

/** EIO for every read of a file whose path ends as EIO_ENDS says, from byte EIO_FROM on. */
const shim = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
static int broken(int fd, off_t at) {
  const char *ends = getenv("EIO_ENDS"), *from = getenv("EIO_FROM");
  char link[64], path[4096];
  if (!ends) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  size_t wanted = strlen(ends);
  if (length < (ssize_t)wanted) return 0;
  path[length] = 0;
  return !strcmp(path + length - wanted, ends) && at >= (from ? atoll(from) : 0) && (errno = EIO);
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
ssize_t read(int fd, void *to, size_t n) { return broken(fd, lseek(fd, 0, SEEK_CUR)) ? -1 : REAL(read)(fd, to, n); }
ssize_t pread(int fd, void *to, size_t n, off_t at) { return broken(fd, at) ? -1 : REAL(pread)(fd, to, n, at); }
ssize_t pread64(int fd, void *to, size_t n, off64_t at) { return broken(fd, at) ? -1 : REAL(pread64)(fd, to, n, at); }
ssize_t readv(int fd, const struct iovec *v, int n) { return broken(fd, lseek(fd, 0, SEEK_CUR)) ? -1 : REAL(readv)(fd, v, n); }
ssize_t preadv(int fd, const struct iovec *v, int n, off_t at) { return broken(fd, at) ? -1 : REAL(preadv)(fd, v, n, at); }
ssize_t preadv64(int fd, const struct iovec *v, int n, off64_t at) { return broken(fd, at) ? -1 : REAL(preadv64)(fd, v, n, at); }
`

beforeAll(async () => {
  if (gcc.skip) return
  project = await madeProject('amd64')
  scratch = await mkdtemp(join(tmpdir(), 'rfo-broken-'))
  await writeFile(join(scratch, 'eio.c'), shim)
  execFileSync(gcc.path, ['-shared', '-fPIC', '-O', '-o', join(scratch, 'eio.so'), join(scratch, 'eio.c'), '-ldl'])
  expect((await run(project.folder, ['pack', version, '-o', scratch])).code).toBe(0)
  archive = join(scratch, `rfo-${version}.tar`)
  const [image] = (await readPredicate(join(project.folder, 'dist', version))).images
  blob = `oci/blobs/sha256/${image?.digest.slice(7)}`
})
afterAll(async () => {
  await project?.remove()
  if (scratch !== undefined) await rm(scratch, { recursive: true, force: true })
})

test.skipIf(gcc.skip).each<[string, () => readonly string[], string, string]>([
  ['verify of a folder', () => ['verify', version], 'blob', 'RFO_VERIFY_READ'],
  ['pack of a folder', () => ['pack', version, '-o', join(scratch, 'out')], 'blob', 'RFO_SHELF_READ'],
  ['verify of an archive', () => ['verify', archive], 'archive', 'RFO_ARCHIVE_READ'],
  ['materialize', () => ['materialize', archive, '-o', join(scratch, 'into')], 'archive', 'RFO_ARCHIVE_READ'],
  ['load', () => ['load', archive, '--to', 'oci://127.0.0.1:9'], 'archive', 'RFO_ARCHIVE_READ'],
])('%s', async (_, argv, what, code) => {
  const key = argv()[0] === 'pack' ? [] : ['--key', '.rfo/sandbox/cosign.pub']
  const broken = what === 'blob' ? { EIO_ENDS: `/${blob}`, EIO_FROM: '0' } : { EIO_ENDS: archive, EIO_FROM: '3000000' }
  const ran = await run(project.folder, [...argv(), ...key], { LD_PRELOAD: join(scratch, 'eio.so'), ...broken })
  expect(ran).toMatchObject({ code: 9, stderr: expect.stringContaining(code) })
  expect(ran.stderr).toContain('EIO')
  expect(await readdir(join(scratch, 'out')).catch(() => [])).toEqual([])
  const into = await readdir(join(scratch, 'into'), { recursive: true }).catch(() => [])
  expect(into.filter((name) => name.includes('rfo-materialize') || name.endsWith('release.sigstore.json'))).toEqual([])
})
