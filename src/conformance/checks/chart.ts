/** The smallest chart that shows which values reached it, as `spec.chartContent` of a HelmChart has it. */
import { buffer } from 'node:stream/consumers'
import { gzipped } from '../../content/gzip.ts'
import { blockSize, headerBlocks, padding } from '../../oci/tar-header.ts'

const files: Readonly<Record<string, string>> = {
  'Chart.yaml': 'apiVersion: v2\nname: rfo-check\nversion: 1.0.0\n',
  'values.yaml': 'word: of the chart\nother: of the chart\n',
  'templates/configmap.yaml': [
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata:',
    '  name: {{ .Release.Name }}',
    'data:',
    '  word: {{ .Values.word | quote }}',
    '  other: {{ .Values.other | quote }}',
    '',
  ].join('\n'),
}

export async function chartContent(): Promise<string> {
  return (await buffer(gzipped(tarBytes()))).toString('base64')
}

async function* tarBytes(): AsyncGenerator<Uint8Array, void, undefined> {
  for (const [path, text] of Object.entries(files)) {
    const bytes = Buffer.from(text)
    yield headerBlocks({ name: `rfo-check/${path}`, type: 'file', mode: 0o644, size: bytes.length, mtime: 0, link: '' })
    yield bytes
    yield Buffer.alloc(padding(bytes.length))
  }
  yield Buffer.alloc(2 * blockSize)
}
