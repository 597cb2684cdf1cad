import { expect, test } from 'bun:test'
import { createHealth } from './health.ts'
import { createLifecycle } from './lifecycle.ts'

test('a check fails when its finding has come as often in a row as its threshold says, and is well at once again', () => {
  const told: string[] = []
  const health = createHealth({ onChange: (name, finding) => told.push(`${name}: ${finding ?? 'well'}`) })
  const check = health.add('storage', { threshold: 3, stops: 'requests' })
  const seen = ['a', 'b', undefined, 'c', 'd', 'e', 'f', undefined].map((finding) => {
    check.report(finding)
    return health.inService
  })
  expect(seen).toEqual([true, true, true, true, true, false, false, true])
  expect(told).toEqual(['storage: e', 'storage: well'])
})

test('what a check stops is what it says', () => {
  const health = createHealth()
  const add = (name: string, stops: 'requests' | 'readiness' | 'notice') => health.add(name, { threshold: 1, stops })
  add('disk', 'notice').report('full')
  expect([health.inService, health.failures(), health.unready()]).toEqual([true, { disk: 'full' }, {}])
  const database = add('database', 'readiness')
  database.report('locked')
  expect([health.inService, health.unready()]).toEqual([true, { database: 'locked' }])
  const file = add('/down', 'requests')
  file.report('file exists')
  expect([health.inService, health.unready()]).toEqual([false, { database: 'locked', '/down': 'file exists' }])
  expect(health.all()).toEqual([
    ['disk', false],
    ['database', false],
    ['/down', false],
  ])
  file.remove()
  file.report('late')
  expect([health.inService, health.all().length]).toEqual([true, 2])
})

test('a check of the same name takes the place of the one before, which has nothing to say any more', () => {
  const health = createHealth()
  const before = health.add('x', { threshold: 1, stops: 'requests' })
  before.report('down')
  health.add('x', { threshold: 1, stops: 'requests' })
  expect(health.inService).toBe(true)
  before.report('down')
  before.remove()
  expect([health.inService, health.all()]).toEqual([true, [['x', true]]])
})

test('a program is ready between its start and its end, unless something is awaited; started it stays', () => {
  const lifecycle = createLifecycle()
  const see = () => [lifecycle.started, lifecycle.obstacle]
  expect(see()).toEqual([false, 'the server is starting'])
  const adopted = lifecycle.hold('adopting')
  lifecycle.start()
  expect(see()).toEqual([false, 'adopting'])
  adopted()
  expect(see()).toEqual([true, undefined])
  const again = lifecycle.hold('adopting again')
  expect(see()).toEqual([true, 'adopting again'])
  again()
  lifecycle.stop()
  expect(see()).toEqual([true, 'the server is stopping'])
})
