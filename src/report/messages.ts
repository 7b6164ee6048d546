/** The words for people, in both languages. Error codes, JSON and task names stay English. */
import { RfoError } from '../error.ts'

const en = {
  started: 'started {task}',
  done: 'done    {task}',
  failed: 'FAILED  {task}: {code}: {message}',
  skipped: 'skipped {task} because of {because}',
  interrupted: 'interruption',
  log: 'log: {path}',
  note: 'note: {message}',
  running: 'running {count}',
  total: '{finished} of {tasks}',
  stage: '{stage} {finished}/{tasks}',
  stageFailed: '{stage} {finished}/{tasks}, failed {failed}',
  more: 'and {count} more',
  ended: 'ended after {seconds} s: {done} done, {cached} unchanged, {failed} failed, {skipped} skipped',
} as const

export type MessageKey = keyof typeof en

/** The names in `{braces}` of a message. */
export type Names<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never
export type Values<Key extends MessageKey> = Readonly<Record<Names<(typeof en)[Key]>, string | number>>

const zh = {
  started: '开始 {task}',
  done: '完成 {task}',
  failed: '失败 {task}：{code}：{message}',
  skipped: '跳过 {task}，原因：{because}',
  interrupted: '中断',
  log: '日志：{path}',
  note: '提示：{message}',
  running: '正在运行 {count} 项',
  total: '{finished}/{tasks}',
  stage: '{stage} {finished}/{tasks}',
  stageFailed: '{stage} {finished}/{tasks}，失败 {failed}',
  more: '另有 {count} 项',
  ended: '用时 {seconds} 秒：完成 {done}，未变 {cached}，失败 {failed}，跳过 {skipped}',
} as const satisfies Readonly<Record<MessageKey, string>>

export const messages = { en, zh } as const
export type Language = keyof typeof messages

/** The message with its values put in; a value is put in as it is, braces and all. */
export function message<Key extends MessageKey>(language: Language, key: Key, values: Values<Key>): string {
  const known = values as Readonly<Record<string, string | number>>
  return messages[language][key].replace(/\{(\w+)\}/g, (_, name: string) => String(known[name]))
}

/** `--lang`, else the first that is set of RFO_LANG, LC_ALL and LANG; en unless it begins with zh. An unknown flag is RFO_REPORT_LANG. */
export function language(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): Language {
  if (flag === 'en' || flag === 'zh') return flag
  if (flag !== undefined) {
    throw new RfoError('RFO_REPORT_LANG', `no such language: ${JSON.stringify(flag.slice(0, 40))}`, {
      exit: 'usage',
      next: 'pass --lang en or --lang zh',
    })
  }
  const wanted = [env.RFO_LANG, env.LC_ALL, env.LANG].find((value) => value !== undefined && value !== '')
  return wanted?.toLowerCase().startsWith('zh') === true ? 'zh' : 'en'
}
