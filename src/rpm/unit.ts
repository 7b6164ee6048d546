/**
 * What %systemd_post, %systemd_preun and %systemd_postun_with_restart mean, spelt out: they are nothing where rpm has no
 * systemd macros, and call a program that older systemd lacks. https://github.com/systemd/systemd/blob/v249/src/rpm/macros.systemd.in
 */
import type { ScriptName } from './package.ts'

export function unitScripts(unit: string): Readonly<Partial<Record<ScriptName, string>>> {
  const guarded = (condition: string, ...lines: readonly string[]): string =>
    [`if [ "$1" -${condition} ] && [ -x /usr/bin/systemctl ]; then`, ...lines.map((line) => `    ${line}`), 'fi'].join('\n')
  const systemctl = (words: string): string => `/usr/bin/systemctl ${words} >/dev/null 2>&1 || :`
  const running = (words: string): string => `[ ! -d /run/systemd/system ] || ${systemctl(words)}`
  return {
    post: guarded('eq 1', systemctl(`--no-reload preset ${unit}`)),
    preun: guarded('eq 0', systemctl(`--no-reload disable ${unit}`), running(`stop ${unit}`)),
    postun: guarded('ge 1', running('daemon-reload'), running(`try-restart ${unit}`)),
  }
}
