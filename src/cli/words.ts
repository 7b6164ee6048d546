/** The words of --help, completion and docs/cli.md, in both languages. A key that one language lacks is a type error. */
import type { Language } from '../report/messages.ts'

const en = {
  program: 'The release factory of RFO, Rancher’s Kubernetes distribution on openEuler',
  usage: 'Usage:',
  arguments: 'Arguments:',
  options: 'Options:',
  globalOptions: 'Global Options:',
  commands: 'Commands:',
  examples: 'Examples:',
  help: 'print this help',
  helpCommand: 'print the help of a command',
  version: 'print the version of rfo-build',

  json: 'the result as one JSON document on stdout',
  progress: 'how progress is shown on stderr',
  lang: 'language for people; codes and JSON stay English (RFO_LANG)',
  store: 'where content and results are kept (RFO_STORE; default: .rfo)',
  out: 'where releases are laid out (default: dist)',
  platform: 'only these platforms, with commas between: amd64,arm64,riscv64',
  dryRun: 'say what would be done and change nothing',
  sandbox: 'every input is a stand-in, served on loopback; the release says so wherever it is carried',
  standIn: 'replace only these kinds of input, with commas between: bases,mirrors,git,charts',
  key: 'a public key to trust (may be repeated)',
  trust: 'a folder of public keys to trust (RFO_TRUST)',
  signKey: 'the private key to sign with: a file (RFO_SIGN_KEY; its password in RFO_KEY_PASSWORD)',

  versionArgument: 'a version of RFO, such as v1.24.8+rfor1',
  releaseArgument: 'a version (meaning dist/<version>/) or the folder of a release',

  plan: 'show what a release consists of: image by platform, and what is missing for it',
  lock: 'pin all inputs of a release by digest in images.lock',
  lockUpstream: 'the RKE2 release that it rebuilds, such as v1.24.8+rke2r1',
  lockUpdate: 'move the pins of these components, or of all: a valid pin stays otherwise',
  lockCheck: 'change nothing; exit 6 when images.lock is incomplete or stale',
  release: 'make a release and sign it',
  releaseUnsigned: 'make it without signatures',
  releaseFail: 'after a failure: finish all that does not depend on it, start nothing new, or kill what runs',
  verify: 'prove a release without a network: every file, blob, signature and attestation',
  verifyExpect: 'refuse any other version than this one',
  keys: 'make and show keys',
  keysGenerate: 'make a P-256 key pair: rfo.key and rfo.pub',
  keysGenerateDir: 'folder for the two files (default: here)',
  keysGenerateCosign: 'write the private key as cosign’s encrypted key file, with the password in RFO_KEY_PASSWORD',
  keysShow: 'show the fingerprint of keys',
  keysShowArgument: 'files with public keys (default: those of --key and --trust)',
  doctor: 'look at this machine: what is there, and what works without the rest',
  completion: 'print completion for a shell',
  completionArgument: 'bash, zsh or fish',

  found: 'found',
  missing: 'missing',
  doctorNode: 'runs rfo-build',
  doctorGo: 'compiles Go components; without it: --sandbox, verify and all that compiles nothing',
  doctorGit: 'opens sources pinned by a git commit; without it: sources that are archives or Go modules',
  doctorDisk: 'free in {path}; a release of compiled components takes 12 GiB, a sandbox release 1 GiB',
  doctorMemory: 'memory; two compilations at once take 4 GiB',
  doctorReady: 'ready for: {what}',
  doctorCompiled: 'compiled releases',
  doctorSandbox: 'sandbox releases, verify',

  keyMade: 'private key  {private}\npublic key   {public}\nfingerprint  {fingerprint}\n',
} as const

export type WordKey = keyof typeof en

const zh = {
  program: 'RFO（基于 openEuler 的 Rancher Kubernetes 发行版）的发布工厂',
  usage: '用法：',
  arguments: '参数：',
  options: '选项：',
  globalOptions: '全局选项：',
  commands: '命令：',
  examples: '示例：',
  help: '显示本帮助',
  helpCommand: '显示某个命令的帮助',
  version: '显示 rfo-build 的版本',

  json: '在标准输出上以一个 JSON 文档给出结果',
  progress: '在标准错误上如何显示进度',
  lang: '给人看的语言；错误码与 JSON 保持英文（RFO_LANG）',
  store: '内容与结果的存放位置（RFO_STORE；默认：.rfo）',
  out: '发布物的输出位置（默认：dist）',
  platform: '只处理这些平台，以逗号分隔：amd64,arm64,riscv64',
  dryRun: '只说明将要做什么，不做任何改动',
  sandbox: '所有输入都用本机回环地址上的替身；发布物无论带到哪里都会注明',
  standIn: '只替换这些种类的输入，以逗号分隔：bases,mirrors,git,charts',
  key: '受信任的公钥（可重复）',
  trust: '存放受信任公钥的目录（RFO_TRUST）',
  signKey: '签名用的私钥文件（RFO_SIGN_KEY；口令在 RFO_KEY_PASSWORD 中）',

  versionArgument: 'RFO 的版本，例如 v1.24.8+rfor1',
  releaseArgument: '版本（即 dist/<version>/）或发布物所在的目录',

  plan: '显示一次发布由什么组成：各平台的镜像，以及还缺什么',
  lock: '在 images.lock 中用摘要固定一次发布的全部输入',
  lockUpstream: '所重建的 RKE2 版本，例如 v1.24.8+rke2r1',
  lockUpdate: '移动这些组件（或全部）的固定值；否则有效的固定值保持不变',
  lockCheck: '不做改动；images.lock 不完整或过期时以 6 退出',
  release: '制作并签名一次发布',
  releaseUnsigned: '不签名',
  releaseFail: '失败之后：finish 做完与之无关的，stop 不再开始新任务，kill 终止正在运行的',
  verify: '不用网络证明一次发布：每个文件、数据块、签名与证明',
  verifyExpect: '拒绝此版本以外的任何版本',
  keys: '生成与显示密钥',
  keysGenerate: '生成 P-256 密钥对：rfo.key 与 rfo.pub',
  keysGenerateDir: '两个文件所在的目录（默认：当前目录）',
  keysGenerateCosign: '把私钥写成 cosign 的加密密钥文件，口令取自 RFO_KEY_PASSWORD',
  keysShow: '显示密钥的指纹',
  keysShowArgument: '公钥文件（默认：--key 与 --trust 所指的）',
  doctor: '检查本机：有什么，以及没有其余部分时什么可用',
  completion: '输出某个 shell 的补全脚本',
  completionArgument: 'bash、zsh 或 fish',

  found: '有',
  missing: '缺',
  doctorNode: '运行 rfo-build',
  doctorGo: '编译 Go 组件；没有它仍可用：--sandbox、verify 以及一切不需编译的',
  doctorGit: '打开以 git 提交固定的源码；没有它仍可用归档或 Go 模块形式的源码',
  doctorDisk: '{path} 的可用空间；编译组件的发布约需 12 GiB，sandbox 发布约需 1 GiB',
  doctorMemory: '内存；两个编译同时进行约需 4 GiB',
  doctorReady: '可以：{what}',
  doctorCompiled: '需编译的发布',
  doctorSandbox: 'sandbox 发布、verify',

  keyMade: '私钥  {private}\n公钥  {public}\n指纹  {fingerprint}\n',
} as const satisfies Readonly<Record<WordKey, string>>

const words = { en, zh } as const

/** The word with `{names}` put in; a name without a value stays as it is. */
export function word(language: Language, key: WordKey, values: Readonly<Record<string, string | number>> = {}): string {
  return words[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
