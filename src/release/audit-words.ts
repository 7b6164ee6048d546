/** What audit.html says by itself, in both of its languages. Spec words (SBOM, manifest, config, layers) stand as they are in both. */
import { type Content, type Markup, markup } from './audit-markup.ts'

/** In English and Chinese; the page holds both and shows one. */
export type Said = readonly [en: Content, zh: Content]

/** What others wrote in English is `<i lang>`, and stays in both. */
export function say([en, zh]: Said): Markup {
  return markup`<span lang="en">${en}</span><span lang="zh">${zh}</span>`
}

const code = (text: string): Markup => markup`<code>${text}</code>`

export const words = {
  skip: ['Skip to the content', '跳到正文'],
  language: ['Language', '语言'],
  eyebrow: ['Map of a release', '发布内容地图'],
  map: [
    markup`This page proves nothing by itself: whoever could change a file of this folder could change this page. It is a map, from each file
      to what it was made of. What proves is a signature, checked with a public key that <strong>came to you another way</strong> than
      with this folder.`,
    markup`本页本身不证明任何事：能改动本目录文件的人，也能改动本页。它只是一张地图，从每个文件指向其来源。能够证明的是签名，而校验签名所用的公钥必须<strong>通过其他途径取得</strong>，不能取自本目录。`,
  ],
  contents: ['On this page', '本页内容'],
  upstream: ['Upstream', '上游'],
  commit: ['Commit', '提交'],
  date: ['Date of every time stamp (UTC)', '所有时间戳的日期（UTC）'],
  vendor: ['Vendor', '发布者'],

  standIns: ['Not for use: made with stand-ins', '不可用于生产：部分输入为替身'],
  standInsAre: [
    'Something else took the place of the real input named here. Whatever is made of it is not what its name says.',
    '以下真实输入已被替身取代。由替身制成的内容与其名称不符。',
  ],
  of: (kind: 'bases' | 'images' | 'charts', count: number, all: number): Said => {
    const names = { bases: ['bases', '基础镜像'], images: ['images', '镜像'], charts: ['charts', 'Chart'] } as const
    return [`${count} of ${all} ${names[kind][0]}`, `${names[kind][1]}（${count}/${all}）`]
  },
  bundle: ['program, tarball and packages', '程序、发布包与软件包'],

  check: ['Check it', '校验'],
  checkKey: [
    markup`In these commands, typed in this folder, ${code('rfo.pub')} is the public key that you got another way. A key in
      ${code('trust/')} belongs to whoever made the folder.`,
    markup`以下命令在本目录中执行；${code('rfo.pub')} 是你通过其他途径取得的公钥。${code('trust/')} 中的公钥属于制作本目录的人，不能作为依据。`,
  ],
  checkAll: [
    'Everything: statement, root, every file, blob, image signature and attestation, and that nothing is extra',
    '全部内容：声明、根摘要、每个文件、blob、镜像签名与证明，并确认没有多余文件',
  ],
  checkPlain: [
    'Without rfo-build, by sh, openssl and sha256sum (read the script first: it came with the folder)',
    '不用 rfo-build，只用 sh、openssl 与 sha256sum（脚本随本目录而来，请先阅读）',
  ],
  checkDamage: [
    'Damage in transit, a platform at a time. A list proves something only once its own signature holds, which the second command checks',
    '传输损坏，按平台检查。清单自身的签名成立后，清单才有意义；第二条命令校验该签名',
  ],
  checkOne: [
    'One file or image index by its digest: the statement’s signature, and that the statement names this digest',
    '按摘要校验单个文件或镜像索引：校验声明的签名，并确认声明包含该摘要',
  ],

  find: ['Which file is it?', '这是哪个文件？'],
  choose: ['Choose a file, or drop one anywhere on this page', '选择文件，或将文件拖到本页任意位置'],
  chooseHint: [
    'Its SHA-256 is computed here, in your browser; nothing is sent anywhere. Blobs of oci/ are known too.',
    '在浏览器中本地计算 SHA-256，不会发送任何数据。也能识别 oci/ 中的 blob。',
  ],
  noScript: [
    markup`Without JavaScript: type ${code('sha256sum FILE')} and look for the result on this page.`,
    markup`未启用 JavaScript：请执行 ${code('sha256sum 文件')}，再在本页中查找结果。`,
  ],
  computing: ['Computing the SHA-256 of', '正在计算 SHA-256：'],
  listed: ['Listed. This page names this very content:', '已列出。本页列有此内容：'],
  listedNext: [
    'This page said so, no signature. To have the statement say it, for a file or an image index:',
    '以上仅为本页所述，并非签名。对于文件或镜像索引，可由声明确认：',
  ],
  unlisted: ['Not listed. This page names no such content:', '未列出。本页没有此内容：'],
  sameName: [
    'A file of that name is listed, with another content. It was changed, or is of another release:',
    '列有同名文件，但内容不同。该文件已被改动，或来自其他发布：',
  ],
  unlistedNext: [
    'Signatures, keys, the checksum lists, the statement and this page are not listed here: rfo-build verify knows them.',
    '签名、公钥、校验和清单、声明以及本页均未在此列出，由 rfo-build verify 校验。',
  ],
  tooLarge: [
    'More than 1 GiB: too large to be read at once by a browser. Type this, and look for the result on this page:',
    '超过 1 GiB，浏览器无法一次读入。请执行以下命令，再在本页中查找结果：',
  ],
  noCrypto: [
    'This browser does not compute digests on a page that was opened from a file. Type this, and look for the result on this page:',
    '此浏览器不支持在本地文件页面中计算摘要。请执行以下命令，再在本页中查找结果：',
  ],
  unreadable: [
    'The browser could not read it. Type this, and look for the result on this page:',
    '浏览器无法读取该文件。请执行以下命令，再在本页中查找结果：',
  ],

  platforms: ['Platforms', '平台'],
  platform: ['Platform', '平台'],
  state: ['Default configuration', '默认配置'],
  bootable: ['bootable', '可启动'],
  partial: ['partial', '不完整'],
  bootableMeans: [
    'Bootable: the lists hold every image that charts and static pods of the default configuration name. No cluster was started with them.',
    '“可启动”指默认配置的 chart 与静态 Pod 所引用的镜像均在清单中，并未用它们启动过集群。',
  ],
  otherChoices: ['Other configurations:', '其他配置见'],
  neededBy: ['needed by', '需要者：'],
  base: ['Base', '基础镜像'],

  images: ['Images', '镜像'],
  imagesAre: [
    'Each image is one index with one manifest per platform. A rebuilt one was made here from its source; a mirrored one is upstream’s, byte for byte.',
    '每个镜像为一个索引，每个平台一个 manifest。“重建”由此处从源码制作；“镜像同步”与上游逐字节一致。',
  ],
  image: ['Image', '镜像'],
  madeFrom: ['Made from', '来源'],
  rebuilt: ['rebuilt', '重建'],
  mirrored: ['mirrored', '镜像同步'],
  compiled: (toolchain: string): Said => [`compiled with ${toolchain}`, `以 ${toolchain} 编译`],
  compiledC: ['compiled by a C compiler', '以 C 编译器编译'],
  collected: ['programs of other images of this release:', '程序取自本发布的其他镜像：'],
  laidTogether: ['nothing is compiled: files laid together', '不编译，仅由文件组成'],
  carries: ['with files of this release:', '含本发布的文件：'],
  ownImage: ['in no list: an image of RFO’s own', '不在任何清单中，为 RFO 自有镜像'],
  noGroup: ['in no list: another image carries its programs', '不在任何清单中，其程序由其他镜像携带'],
  prebuilt: ['not compiled: programs as they lie in the source', '未编译，程序原样取自来源'],
  recipe: ['built by a recipe with RUN steps', '以含 RUN 步骤的配方构建'],
  inPlaceOf: ['in place of', '取代'],
  group: ['Groups', '分组'],
  source: ['Source', '源码'],
  pinned: ['Pinned', '锁定'],
  unpinned: ['not pinned', '未锁定'],
  deviates: ['Other than upstream’s', '与上游不同'],
  edited: ['go.mod was changed', 'go.mod 已修改'],
  changedBy: ['The source was changed by', '修改源码的文件'],
  onScratch: ['on nothing (scratch)', '无基础镜像（scratch）'],
  standIn: ['Stand-in', '替身'],
  notProvided: ['not provided', '未提供'],
  groups: ['Groups: what an archive and a list hold', '分组：归档与清单的内容'],

  charts: ['Charts', 'Chart'],
  chart: ['Chart', 'Chart'],
  chartsAre: [
    'Fetched from upstream by the digest that the lock pins, then packed again with the names of RFO’s images.',
    '按锁定的摘要从上游取得，再以 RFO 的镜像名重新打包。',
  ],

  files: ['Files', '文件'],
  filesAre: [
    'Every file but blobs, keys, signatures, the lists of package repositories, this page itself and the checksum lists, which hold its digest. The signed statement names all of these files:',
    '除 blob、公钥、签名、软件包仓库的列表、本页自身以及含有本页摘要的校验和清单之外的所有文件。签名的声明包含所有这些文件：',
  ],
  file: ['File', '文件'],
  size: ['Bytes', '字节'],
  written: ['written by rfo-build out of plan and lock', '由 rfo-build 根据 plan 与 lock 生成'],
  signedInside: ['differs by who signs: the checksum lists have it', '因签名者而异：见校验和清单'],
  allImages: ['all images', '全部镜像'],
  program: ['source of', '源码同'],
  filter: ['Filter', '筛选'],
  end: ['End of the map.', '地图到此为止。'],
} as const satisfies Record<string, Said | ((...given: never[]) => Said)>
