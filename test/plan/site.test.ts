import { expect, test } from 'vitest'
import { chosenGroups } from '../../src/plan/closure.ts'
import { siteChoices } from '../../src/plan/site.ts'

const groups = (text: string): string => chosenGroups(siteChoices(text, 'config.yaml')).join(' ')

test.each([
  ['', 'canal core'],
  ['# nothing\n', 'canal core'],
  ['token: secret\ntls-san: [a, b]\n', 'canal core'],
  ['cni: cilium\n', 'cilium core'],
  ['cni: [multus, calico]\n', 'calico core multus'],
  ['cni: none\n', 'core'],
  ['ingress-controller: traefik\n', 'canal core traefik'],
  ['ingress-controller: [traefik]\n', 'canal core traefik'],
  ['cloud-provider-name: rancher-vsphere\n', 'canal core vsphere'],
  ['cloud-provider-name: external\n', 'canal core'],
])('%j loads %s', (text, expected) => expect(groups(text)).toBe(expected))

test('an ingress that is disabled is not needed, one that has another name is', () => {
  expect(siteChoices('disable: rke2-ingress-nginx\n', 'c').ingress).toBe('none')
  expect(siteChoices('disable: [rke2-metrics-server, rke2-ingress-nginx]\n', 'c').ingress).toBe('none')
  expect(siteChoices('ingress-controller: ingress-nginx\n', 'c').ingress).toBe('nginx')
  expect(siteChoices('ingress-controller: traefik\ndisable: rke2-ingress-nginx\n', 'c').ingress).toBe('traefik')
})

test.each(['cni: flanel\n', 'cni: {a: b}\n', 'ingress-controller: [traefik, ingress-nginx]\n', '- a\n', 'cni: [\n'])(
  '%j is refused',
  (text) => {
    expect(() => siteChoices(text, 'config.yaml')).toThrow(expect.objectContaining({ code: 'RFO_PLAN_YAML', exit: 'usage' }))
  },
)
