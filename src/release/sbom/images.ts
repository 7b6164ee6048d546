/** The images of a layout, or of an archive of images. */
import { mkdir, stat } from 'node:fs/promises'
import { openLayout } from '../../content/layout.ts'
import { readBytes } from '../../content/read.ts'
import { maxManifestBytes, parseManifest } from '../../oci/manifest.ts'
import { isIndexType, isManifestType } from '../../oci/mediatype.ts'
import type { FileTarget } from './target.ts'
import { type ImageArchive, imagesInTar, namedEntries, tarBytes } from './unpack.ts'

/** Undefined: a tar of something else. */
export async function imagesOfFile(file: FileTarget, workDir: string, signal: AbortSignal): Promise<ImageArchive | undefined> {
  if (file.kind === 'layout') return await imagesOnly(await layoutImages(file.path))
  await mkdir(workDir, { recursive: true })
  const found = await imagesInTar(tarBytes(file, (await stat(file.path)).size, signal), workDir)
  return found === undefined ? undefined : await imagesOnly(found)
}

async function layoutImages(path: string): Promise<ImageArchive> {
  const store = await openLayout(path)
  return { store, images: await namedEntries(store) }
}

/** Signatures and attestations stand beside images in a layout, and are none. */
async function imagesOnly({ store, images }: ImageArchive): Promise<ImageArchive> {
  const kept: ImageArchive['images'][number][] = []
  for (const image of images) {
    const { mediaType } = image.target
    if (isIndexType(mediaType)) kept.push(image)
    if (!isManifestType(mediaType)) continue
    const { artifactType, subject, layers } = parseManifest(await readBytes(store, image.target, maxManifestBytes))
    // cosign 2 gives its signatures the config of an image
    const unpacks = layers.every((layer) => /^application\/vnd\.(oci|docker)\.image\..*\btar\b/.test(layer.mediaType))
    if (artifactType === undefined && subject === undefined && unpacks) kept.push(image)
  }
  return { store, images: kept }
}
