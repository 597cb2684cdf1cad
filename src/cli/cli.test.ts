import { describe, expect, test } from 'bun:test'
import { run } from '../../test/programs.ts'
import { BERTH } from '../../test/start-berth.ts'

describe('wrong usage is told as everything else that goes wrong, with what to do', () => {
  test.each<[string, string[], string]>([
    [
      'an unknown option',
      ['user', 'set', 'kim', '--nothing'],
      "unknown option '--nothing'\nHint: berth user set --help",
    ],
    ['a misspelt command', ['user', 'lss'], "unknown command 'lss' (Did you mean ls?)\nHint: berth user --help"],
    [
      'no operand',
      ['group', 'join'],
      "missing required argument 'group'\nHint: berth group join GROUP USER... (berth group join --help says more)",
    ],
    [
      "a flag of docker_auth's server",
      ['-v=5', 'ls', 'host/app'],
      "-v=5 is a flag of docker_auth's server, and berth ls has none such\n" +
        'Hint: berth ls --help lists its flags; a file of that name is ./ls',
    ],
    [
      'its file after the word auth, and after the flags',
      ['auth', '--v=2', '/nonexistent.yml'],
      'the configuration cannot be used:\n',
    ],
  ])('%s', async (_, args, said) => {
    const { code, stdout, stderr } = await run([BERTH, ...args], { env: {} })
    expect([stdout, code]).toEqual(['', args[0] === 'auth' ? 1 : 2])
    expect(stderr).toStartWith(`berth: ${said}`)
  })
})
