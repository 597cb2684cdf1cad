import { expect, test } from 'bun:test'
import { StorageError } from '../storage/storage.ts'
import { answerToFault, answerToFile } from './faults.ts'

const system = (code: string) => Object.assign(new Error(`${code}: open '/srv/data'`), { code })
const FORBIDDEN = 'files of the registry belong to another user than it runs as; its operator has to give them back'

test('files that the registry may not touch are its operator’s to give back: no client caused it, and none sees a path', () => {
  const told = { code: 'UNAVAILABLE', message: FORBIDDEN, detail: undefined }
  expect(answerToFault(new StorageError('forbidden', "cannot look at '/srv/data'"))).toMatchObject(told)
  expect(answerToFile(system('EACCES'))).toMatchObject(told)
  expect(answerToFile(system('EPERM'))).toMatchObject(told)
})

test('a file that vanished is a blob that is not here, and anything else is no answer', () => {
  expect(answerToFile(system('ENOENT'))).toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect([answerToFile(system('EMFILE')), answerToFile(new Error('x')), answerToFile('x')]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})
