import { describe, expect, test } from 'bun:test'
import { UnavailableError } from '../auth/authenticator.ts'
import { ERROR_MESSAGES, type ErrorCode, RegistryError } from '../oci/error.ts'
import { InterruptedUpload } from '../registry/uploads.ts'
import { InterruptedBody } from './body.ts'
import { errorResponse } from './errors.ts'

describe('an error becomes an answer', () => {
  const rows: [string, unknown, number, string][] = [
    [
      'a code alone',
      new RegistryError('BLOB_UNKNOWN'),
      404,
      '{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}',
    ],
    [
      'with a detail',
      new RegistryError('NAME_UNKNOWN', { detail: { name: 'a' } }),
      404,
      '{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"a"}}',
    ],
    [
      'with a detail of null',
      new RegistryError('UNAUTHORIZED', { detail: null }),
      401,
      '{"code":"UNAUTHORIZED","message":"authentication required","detail":null}',
    ],
    ['with words of its own', new RegistryError('DENIED', { message: 'no' }), 403, '{"code":"DENIED","message":"no"}'],
    [
      'the cause stays inside',
      new RegistryError('BLOB_UNKNOWN', { cause: new Error('secret') }),
      404,
      '{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}',
    ],
    [
      'several: the first decides the status',
      new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: 'a', more: [new RegistryError('UNKNOWN')] }),
      400,
      '{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"a"},{"code":"UNKNOWN","message":"unknown error"}',
    ],
    [
      'a code of ours by the word that clients know',
      new RegistryError('MANIFEST_TOO_LARGE'),
      413,
      '{"code":"MANIFEST_INVALID","message":"manifest too large"}',
    ],
    [
      'anything else without a word',
      new TypeError('x is not a function'),
      500,
      '{"code":"UNKNOWN","message":"unknown error"}',
    ],
    ['something that is no error', 'text', 500, '{"code":"UNKNOWN","message":"unknown error"}'],
    [
      'an upload that broke off',
      new InterruptedUpload('x'),
      408,
      '{"code":"BLOB_UPLOAD_INVALID","message":"the request body ended early; the upload can be resumed"}',
    ],
    [
      'a manifest that broke off',
      new InterruptedBody('x'),
      408,
      '{"code":"MANIFEST_INVALID","message":"the request body ended early"}',
    ],
  ]
  test.each(rows)('%s', async (_, error, status, entries) => {
    const answer = errorResponse(error)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(await answer.text()).toBe(`{"errors":[${entries}]}\n`)
  })

  test('what is unavailable says when to come back', () => {
    for (const error of [new RegistryError('UNAVAILABLE'), new UnavailableError('down')]) {
      const answer = errorResponse(error, { 'X-More': 'x' })
      expect(answer.status).toBe(503)
      expect(Object.fromEntries(answer.headers)).toMatchObject({ 'retry-after': '5', 'x-more': 'x' })
    }
    const tooMany = errorResponse(new RegistryError('TOOMANYREQUESTS'))
    expect([tooMany.status, tooMany.headers.get('retry-after')]).toEqual([429, '60'])
    expect(errorResponse(new RegistryError('DENIED')).headers.has('retry-after')).toBe(false)
  })

  test('every code has a status of an error', () => {
    for (const code of Object.keys(ERROR_MESSAGES) as ErrorCode[]) {
      expect(errorResponse(new RegistryError(code)).status).toBeGreaterThanOrEqual(400)
    }
  })
})
