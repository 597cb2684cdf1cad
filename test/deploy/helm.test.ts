import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Ajv from 'ajv'
import { parse } from 'yaml'
import { z } from 'zod'
import project from '../../package.json' with { type: 'json' }
import { run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { merged, readChart } from './chart.ts'

const chart = readChart(join(import.meta.dir, '../../deploy/helm/berth'))

/** What the chart uses of Kubernetes' API (v1.23 and later), and nothing else: a misspelt key is refused. */
const text = z.string().min(1)
const names = z.record(z.string(), z.string())
const label = z.record(z.string(), z.string().regex(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/))
const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
const metadata = z.strictObject({ name, labels: label, annotations: names.optional() })
const variable = z.union([
  z.strictObject({ name: text, value: z.string() }),
  z.strictObject({ name: text, valueFrom: z.record(z.string(), z.unknown()) }),
])
const probe = z.strictObject({
  httpGet: z.strictObject({ path: text, port: z.literal('registry'), scheme: z.enum(['HTTP', 'HTTPS']) }),
  ...{ periodSeconds: z.int().min(1), timeoutSeconds: z.int().min(1).optional() },
  failureThreshold: z.int().min(1).optional(),
})
const container = z.strictObject({
  ...{ name, image: text, imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']), args: z.array(text) },
  env: z.array(variable).nullable(),
  ports: z.array(z.strictObject({ name, containerPort: z.int(), protocol: z.literal('TCP') })),
  ...{ startupProbe: probe, livenessProbe: probe, readinessProbe: probe },
  securityContext: z.strictObject({
    ...{ allowPrivilegeEscalation: z.boolean(), readOnlyRootFilesystem: z.boolean() },
    capabilities: z.strictObject({ drop: z.array(text) }),
  }),
  resources: z.strictObject({ requests: names.optional(), limits: names.optional() }).optional(),
  volumeMounts: z.array(z.strictObject({ name, mountPath: text, readOnly: z.boolean().optional() })),
})
const volume = z.union([
  z.strictObject({ name, configMap: z.strictObject({ name }) }),
  z.strictObject({ name, secret: z.strictObject({ secretName: name, defaultMode: z.int().max(0o777) }) }),
  z.strictObject({ name, persistentVolumeClaim: z.strictObject({ claimName: name }) }),
])
const pod = z.strictObject({
  imagePullSecrets: z.array(z.strictObject({ name })).optional(),
  ...{ automountServiceAccountToken: z.boolean(), enableServiceLinks: z.boolean() },
  terminationGracePeriodSeconds: z.int(),
  securityContext: z.strictObject({
    ...{ runAsNonRoot: z.boolean(), runAsUser: z.int(), runAsGroup: z.int(), fsGroup: z.int() },
    fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']),
    seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
  }),
  ...{ containers: z.array(container).length(1), volumes: z.array(volume) },
  nodeSelector: names.optional(),
  tolerations: z.array(z.unknown()).optional(),
  affinity: z.unknown().optional(),
})
const claim = z.strictObject({
  metadata: z.strictObject({ name }),
  spec: z.strictObject({
    accessModes: z.array(z.literal('ReadWriteOnce')),
    storageClassName: name.optional(),
    resources: z.strictObject({ requests: z.strictObject({ storage: text }) }),
  }),
})
const SHAPES: Record<string, z.ZodType> = {
  'statefulset.yaml': z.strictObject({
    ...{ apiVersion: z.literal('apps/v1'), kind: z.literal('StatefulSet'), metadata },
    spec: z.strictObject({
      ...{ replicas: z.literal(1), serviceName: name, selector: z.strictObject({ matchLabels: label }) },
      template: z.strictObject({ metadata: z.strictObject({ labels: label }), spec: pod }),
      volumeClaimTemplates: z.array(claim).optional(),
    }),
  }),
  'service.yaml': z.strictObject({
    ...{ apiVersion: z.literal('v1'), kind: z.literal('Service'), metadata },
    spec: z.strictObject({
      ...{ type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']), selector: label },
      ports: z.array(z.strictObject({ name, port: z.int(), targetPort: z.literal('registry'), protocol: text })),
    }),
  }),
  'configmap.yaml': z.strictObject({
    ...{ apiVersion: z.literal('v1'), kind: z.literal('ConfigMap'), metadata },
    data: z.strictObject({ 'config.yml': text }),
  }),
  'ingress.yaml': z.strictObject({
    ...{ apiVersion: z.literal('networking.k8s.io/v1'), kind: z.literal('Ingress'), metadata },
    spec: z.strictObject({
      ingressClassName: name.optional(),
      rules: z.array(z.strictObject({ host: text, http: z.strictObject({ paths: z.array(z.unknown()).min(1) }) })),
      tls: z.array(z.strictObject({ hosts: z.array(text), secretName: name })).optional(),
    }),
  }),
}

const validate = new Ajv({ strict: true }).compile(chart.schema)
const FULL = {
  image: { repository: 'registry.example:5000/berth', tag: '1.2.3', pullPolicy: 'Always' },
  imagePullSecrets: [{ name: 'pull' }],
  env: [{ name: 'REGISTRY_LOG_LEVEL', value: 'debug' }],
  admin: { existingSecret: 'admin-password' },
  tls: { existingSecret: 'registry-tls' },
  persistence: { existingClaim: 'registry-data' },
  service: { type: 'LoadBalancer', port: 443 },
  ingress: { enabled: true, className: 'nginx', tlsSecret: 'ingress-tls', annotations: { 'a.b/c': '0' } },
  ...{
    nodeSelector: { disk: 'local' },
    tolerations: [{ key: 'registry', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
  },
}

type Manifest = ReturnType<typeof parse>

/** Each manifest of the chart, checked; undefined for one that is empty. */
function manifests(values: Record<string, unknown> = {}): Record<string, Manifest> {
  const { 'NOTES.txt': _, ...files } = chart.render(values)
  return Object.fromEntries(
    Object.entries(files).map(([file, rendered]) => {
      const manifest = parse(rendered)
      if (manifest !== null) expect([file, SHAPES[file]?.safeParse(manifest).error?.issues]).toEqual([file, undefined])
      return [file, manifest ?? undefined]
    }),
  )
}

describe('the chart for Helm', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-chart-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('is of this version', () => {
    const { 'statefulset.yaml': set } = manifests()
    expect(set.metadata.labels).toEqual({
      'app.kubernetes.io/name': 'berth',
      'app.kubernetes.io/instance': 'r',
      'app.kubernetes.io/version': project.version,
      'app.kubernetes.io/managed-by': 'Helm',
      'helm.sh/chart': `berth-${project.version}`,
    })
  })

  test('gives one pod without rights, on a disk of its own', () => {
    const { 'statefulset.yaml': set, 'ingress.yaml': ingress, 'service.yaml': service } = manifests()
    const { spec } = set.spec.template
    expect(ingress).toBeUndefined()
    expect(spec).toMatchObject({
      securityContext: { runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532 },
      // Its variables (REGISTRY_PORT=tcp://...) would be taken for configuration.
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      volumes: [{ name: 'config', configMap: { name: 'r-berth' } }],
    })
    expect(spec.containers[0]).toMatchObject({
      image: `berth:${project.version}`,
      env: null,
      securityContext: {
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      },
      readinessProbe: { httpGet: { path: '/readyz', scheme: 'HTTP' } },
    })
    expect(set.spec.volumeClaimTemplates).toHaveLength(1)
    expect(service.spec.selector).toEqual(set.spec.template.metadata.labels)
    expect(set.spec.selector.matchLabels).toEqual(set.spec.template.metadata.labels)
  })

  test('gives what every value asks for', () => {
    const { 'statefulset.yaml': set, 'service.yaml': service, 'ingress.yaml': ingress } = manifests(FULL)
    const { spec } = set.spec.template
    const [registry] = spec.containers
    expect(set.spec.volumeClaimTemplates).toBeUndefined()
    expect(registry.image).toBe('registry.example:5000/berth:1.2.3')
    expect(registry.env).toEqual([
      { name: 'REGISTRY_HTTP_TLS_CERTIFICATE', value: '/tls/tls.crt' },
      { name: 'REGISTRY_HTTP_TLS_KEY', value: '/tls/tls.key' },
      { name: 'BERTH_ADMIN_PASSWORD', valueFrom: { secretKeyRef: { name: 'admin-password', key: 'password' } } },
      { name: 'REGISTRY_LOG_LEVEL', value: 'debug' },
    ])
    const probes = [registry.startupProbe, registry.livenessProbe, registry.readinessProbe]
    expect(probes.map((one) => one.httpGet.scheme)).toEqual(['HTTPS', 'HTTPS', 'HTTPS'])
    expect(registry.volumeMounts.map((one: { name: string }) => one.name).sort()).toEqual(
      spec.volumes.map((one: { name: string }) => one.name).sort(),
    )
    expect(spec).toMatchObject({
      nodeSelector: FULL.nodeSelector,
      tolerations: FULL.tolerations,
      affinity: FULL.affinity,
    })
    expect(service.spec).toMatchObject({ type: 'LoadBalancer', ports: [{ port: 443 }] })
    expect(ingress).toMatchObject({
      metadata: { annotations: { 'a.b/c': '0' } },
      spec: { ingressClassName: 'nginx', tls: [{ hosts: ['registry.example'], secretName: 'ingress-tls' }] },
    })
    expect(ingress.spec.rules[0].http.paths).toEqual([
      { path: '/', pathType: 'Prefix', backend: { service: { name: 'r-berth', port: { name: 'registry' } } } },
    ])
  })

  test('its configuration is one that Berth takes, without a warning, and that keeps strangers out', async () => {
    const path = join(folder, 'config.yml')
    writeFileSync(path, manifests()['configmap.yaml'].data['config.yml'])
    const check = await run([BERTH, 'config', 'check', path])
    expect(check).toEqual({ code: 0, stdout: 'The configuration can be used.\n', stderr: '' })
    expect((await run([BERTH, 'config', 'print', path])).stdout).toMatch(/anonymous: none/)
  })

  test('its notes say where the first password is', () => {
    expect(chart.render()['NOTES.txt']).toContain('--namespace registry exec r-berth-0 -- cat /var/lib/registry/')
    expect(chart.render(FULL)['NOTES.txt']).toContain('the secret admin-password')
  })

  test('its values and all of these pass its schema', () => {
    for (const values of [{}, FULL])
      expect([validate(merged(chart.values, values)), validate.errors]).toEqual([true, null])
  })

  const refused: [sentence: string, values: Record<string, unknown>][] = [
    ['a misspelt value', { persistance: {} }],
    ['a misspelt value further down', { ingress: { enable: true } }],
    ['a size without a number', { persistence: { size: 'large' } }],
    ['a port that is a text', { service: { port: '443' } }],
    ['a variable without a name', { env: [{ value: 'a' }] }],
    ['an address that service and probes do not know', { config: { http: { addr: ':8080' } } }],
    ['TLS that service and probes do not know', { config: { http: { tls: { certificate: '/a' } } } }],
    ['another version of the format', { config: { version: 0.2 } }],
  ]
  test.each(refused)('its schema refuses %s', (_, values) => {
    expect(validate(merged(chart.values, values))).toBe(false)
  })
})
