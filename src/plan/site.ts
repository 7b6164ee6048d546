/** A site's `/etc/rancher/rfo/config.yaml`, as far as it decides which images its nodes need. */
import { z } from 'zod'
import { type Choices, cloudChoices, cniChoices, defaultChoices, ingressChoices } from './closure.ts'
import { parseYaml } from './yaml.ts'

const names = <Name extends string>(table: Readonly<Record<Name, unknown>>): [Name, ...Name[]] => Object.keys(table) as [Name, ...Name[]]
/** rke2's own word for what it installs as rke2-ingress-nginx */
const nginx = 'ingress-nginx'
const oneOrMore = <Value extends z.ZodType>(value: Value) => z.union([value, z.array(value)])

/** https://docs.rke2.io/reference/server_config; what else a configuration says decides about no image. */
const Config = z.looseObject({
  cni: oneOrMore(z.enum(names(cniChoices))).optional(),
  'ingress-controller': z
    .union([z.enum([nginx, ...names(ingressChoices)]), z.array(z.enum([nginx, ...names(ingressChoices)])).length(1, 'one, for images')])
    .optional(),
  'cloud-provider-name': z.string().optional(),
  disable: oneOrMore(z.string()).optional(),
})

/** Throws RFO_PLAN_YAML (usage). Charts that it disables count as needed, but for the ingress: too much hurts nobody. */
export function siteChoices(text: string, file: string): Choices {
  const config = parseYaml(Config.nullable(), text, file) ?? {}
  const cni = list(config.cni)
  const ingress = list(config['ingress-controller'])[0] ?? defaultChoices.ingress
  const disabled = list(config.disable).flatMap((names) => names.split(','))
  const named = ingress === nginx ? 'nginx' : ingress
  // what RKE2 carries images for; any other provider, `external` say, brings its own
  const cloud = names(cloudChoices).find((name) => name === config['cloud-provider-name']) ?? 'none'
  return {
    cni: cni.length === 0 ? defaultChoices.cni : cni,
    ingress: named === 'nginx' && disabled.includes('rke2-ingress-nginx') ? 'none' : named,
    cloud,
  }
}

function list<Value>(value: Value | readonly Value[] | undefined): readonly Value[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value as Value]
}
