import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { parse } from 'yaml'
import { describeWith, must, program } from '../programs.ts'

const FILE = join(import.meta.dir, '../../deploy/compose/compose.yaml')

// Started in clients/container.test.ts.
describeWith(['docker-compose'], 'the compose file', () => {
  const read = async (env: Record<string, string> = {}) =>
    parse(await must([program('docker-compose'), '--project-name', 'berth', '--file', FILE, 'config'], { env }))

  test('is one that docker-compose takes, and serves this machine alone', async () => {
    expect(await read()).toMatchObject({
      services: {
        registry: {
          image: 'berth:latest',
          command: ['serve', '--tls', 'auto', '--tls-name', 'localhost'],
          ports: ['127.0.0.1:5000:5000/tcp'],
          volumes: ['registry:/var/lib/registry:rw'],
          ...{ user: '65532:65532', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] },
          ...{ restart: 'unless-stopped', stop_grace_period: '40s' },
        },
      },
      volumes: { registry: {} },
    })
  })

  test('takes image, address, port and name from the environment', async () => {
    const chosen = { BERTH_IMAGE: 'a/b:1', BERTH_ADDRESS: '0.0.0.0', BERTH_PORT: '443', BERTH_NAME: 'registry.example' }
    expect((await read(chosen)).services.registry).toMatchObject({
      ...{ image: 'a/b:1', command: expect.arrayContaining(['registry.example']), ports: ['0.0.0.0:443:5000/tcp'] },
    })
  })
})
