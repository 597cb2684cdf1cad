import { describe, expect, test } from 'bun:test'
import { descriptorOf, numbersAtEnd, parseTrace, stringsOf } from './trace.ts'

describe('a trace', () => {
  test('gives the moments of calls that interleave', () => {
    const moments = parseTrace(
      [
        '11 fsync(5</data/a> <unfinished ...>',
        '12 pwrite64(6</data/b>, "x", 1, 0) = 1',
        '--- not of a thread ---'.replace(/^/, '11 '),
        '11 <... fsync resumed>) = 0',
        '12 +++ exited with 0 +++',
        '',
      ].join('\n'),
    )
    expect(moments.map(({ moment, call }) => `${call.thread} ${moment} ${call.name} ${call.result}`)).toEqual([
      '11 begin fsync 0',
      '12 begin pwrite64 1',
      '12 end pwrite64 1',
      '11 end fsync 0',
    ])
  })

  test('leaves a call that never ended without an end', () => {
    const moments = parseTrace('11 fsync(5</data/a> <unfinished ...>\n')
    expect(moments.map(({ moment, call }) => `${moment} ${call.result}`)).toEqual(['begin -1'])
  })

  test('gives errors as -1 and returned descriptors with their paths', () => {
    const [failed, opened] = parseTrace(
      [
        '11 mkdir("/data", 0777) = -1 EEXIST (File exists)',
        '11 openat(AT_FDCWD</>, "/data/a", O_RDWR|O_CREAT, 0600) = 7</data/a>',
      ].join('\n'),
    )
      .filter(({ moment }) => moment === 'end')
      .map(({ call }) => call)
    expect(failed?.result).toBe(-1)
    expect([opened?.result, opened?.resultPath]).toEqual([7, '/data/a'])
  })

  test('gives the bytes of strings in every way that strace writes them', () => {
    const [moment] = parseTrace(
      String.raw`11 pwritev(5</data/a>, [{iov_base="\x00\xffA", iov_len=3}, {iov_base="a\"b\\\n\0017", iov_len=7}], 2, 4096)     = 10`,
    )
    if (moment === undefined) throw new Error('no moment')
    expect(stringsOf(moment.call).map((bytes) => [...bytes])).toEqual([
      [0, 255, 65],
      [97, 34, 98, 92, 10, 1, 55],
    ])
    expect(numbersAtEnd(moment.call)).toEqual([2, 4096])
    expect(descriptorOf(moment.call)).toEqual({ fd: 5, path: '/data/a' })
  })

  test('refuses a string that was cut short, for bytes would be missing', () => {
    const [moment] = parseTrace('11 pwrite64(5</data/a>, "abc"..., 300, 0) = 300')
    expect(() => stringsOf(moment?.call ?? { thread: '', name: '', text: '', result: 0, resultPath: '' })).toThrow(
      'cut a string of pwrite64 short',
    )
  })

  test('refuses what strace does not write', () => {
    expect(() => parseTrace('hello')).toThrow("not a line of strace's")
  })
})
