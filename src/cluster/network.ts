/** The addresses of a local cluster. They are the same in every one: none can be reached from outside its namespaces. */
export const network = {
  node: 'rfo-node',
  address: '10.77.0.1',
  prefix: 24,
  port: 6443,
  pods: '10.244.0.0/24',
  services: '10.96.0.0/16',
  /** of `kubernetes`, the first of the services' range */
  service: '10.96.0.1',
  dns: '10.96.0.10',
  domain: 'cluster.local',
} as const
