import { expect, test } from 'bun:test'
import { imageConfig } from './image-config.ts'
import { formatSections } from './sections.ts'

const SECTIONS = [
  {
    fields: [
      ['Name', 'a'],
      ['Nothing', undefined],
      ['Empty', ''],
      ['Long', 'one two three four five six seven'],
    ] as const,
  },
  { title: 'None', fields: [['Nothing', undefined]] as const },
  {
    title: 'Labels',
    lines: ['a=1', 'sum=0123456789abcdef0123456789abcdef', 'evil=\u001b[2J', 'words=aa bb cc dd ee ff gg hh'],
  },
]

test.each<[string, number | undefined, string[]]>([
  [
    'without a terminal all stands on one line',
    undefined,
    [
      ...['Name  a', 'Long  one two three four five six seven', 'Labels', '  a=1'],
      ...['  sum=0123456789abcdef0123456789abcdef', '  evil=\\u{1b}[2J', '  words=aa bb cc dd ee ff gg hh'],
    ],
  ],
  [
    'a terminal has lines that fit, with nothing left out',
    28,
    [
      ...['Name  a', 'Long  one two three four', '      five six seven', 'Labels', '  a=1'],
      ...[
        '  sum=0123456789abcdef012345',
        '    6789abcdef',
        '  evil=\\u{1b}[2J',
        '  words=aa bb cc dd ee ff',
        '    gg hh',
      ],
    ],
  ],
])('%s', (_, room, lines) => {
  expect(formatSections(SECTIONS, room)).toBe(`${lines.join('\n')}\n`)
})

test('what an image says in another form than it should is not taken for something', () => {
  const nothing = {
    ...{ author: null, user: null, workingDir: null, entrypoint: null, cmd: null, env: [], exposedPorts: [] },
    ...{ volumes: [], stopSignal: null, healthcheck: null, labels: {} },
  }
  expect(imageConfig({})).toEqual(nothing)
  const odd = { User: 7, WorkingDir: {}, Entrypoint: 'sh', Cmd: null, Env: { a: 1 }, ExposedPorts: [1], Volumes: 'x' }
  expect(imageConfig({ author: [], config: { ...odd, StopSignal: '', Healthcheck: 3, Labels: ['x'] } })).toEqual(
    nothing,
  )
  expect(imageConfig({ config: [] })).toEqual(nothing)
})
