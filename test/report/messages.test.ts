import { expect, test } from 'vitest'
import { language, message, messages } from '../../src/report/messages.ts'

test('both languages name the same values', () => {
  const names = (text: string): readonly string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '').sort()
  for (const [key, text] of Object.entries(messages.en))
    expect([key, names(messages.zh[key as keyof typeof messages.en])]).toEqual([key, names(text)])
})

test('values are put in as they are', () => {
  expect(message('en', 'skipped', { task: '{because}', because: '$&' })).toBe('skipped {because} because of $&')
  expect(message('zh', 'running', { count: 3 })).toBe('正在运行 3 项')
  // @ts-expect-error a missing value is a type error
  message('en', 'running', {})
})

test.each([
  ['zh', { RFO_LANG: 'en' }, 'zh'],
  [undefined, { RFO_LANG: 'en', LC_ALL: 'zh_CN.UTF-8' }, 'en'],
  [undefined, { RFO_LANG: '', LC_ALL: 'zh_CN.UTF-8', LANG: 'C' }, 'zh'],
  [undefined, { LC_ALL: 'C', LANG: 'zh_CN.UTF-8' }, 'en'],
  [undefined, { LANG: 'zh_TW' }, 'zh'],
  [undefined, { LANG: 'de_DE.UTF-8' }, 'en'],
  [undefined, {}, 'en'],
])('language: flag %s, env %o is %s', (flag, env, expected) => {
  expect(language(flag, env)).toBe(expected)
})

test('an unknown --lang is a usage error', () => {
  expect(() => language('klingon', {})).toThrow(expect.objectContaining({ code: 'RFO_REPORT_LANG', exit: 'usage' }))
})
