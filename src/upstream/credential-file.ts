import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { readSmallFile } from '../files/read-small-file.ts'
import { UpstreamError } from './error.ts'

/** One entry of `auths`. */
export interface AuthEntry {
  /** base64 of `name:password`. */
  auth?: string
  identitytoken?: string
  registrytoken?: string
}

/** docker's config.json, or podman's auth.json: the keys that we read. All others are kept as they are. */
export interface CredentialFile {
  auths: Record<string, AuthEntry>
  credsStore: string | undefined
  credHelpers: Record<string, string>
}

type Json = Record<string, unknown>

/** Bytes of such a file. */
const LONGEST = 16 * 1024 * 1024

/** Undefined when there is no such file. @throws UpstreamError when it cannot be read */
export function readCredentialFile(path: string): CredentialFile | undefined {
  const json = readJson(path)
  return json && credentialsIn(json)
}

/** @throws UpstreamError when the text is no JSON object; `where` names it */
export function parseCredentials(text: string, where: string): CredentialFile {
  return credentialsIn(parseObject(text, where))
}

/**
 * Changes the entries of a file, which is made (0600) when there is none. Its other keys stay; whoever reads at the same time
 * sees the old file or the new one. @throws UpstreamError
 */
export function changeCredentialFile(path: string, change: (auths: Record<string, AuthEntry>) => void): void {
  const json = readJson(path) ?? {}
  const auths = { ...(isObject(json.auths) ? json.auths : {}) } as Record<string, AuthEntry>
  change(auths)
  const text = `${JSON.stringify({ ...json, auths }, undefined, '\t')}\n`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    replaceFile(targetOf(path), text)
  } catch (error) {
    throw new UpstreamError('failed', `cannot write ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/** Where a link leads: the link itself is to stay. */
function targetOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = openSync(temporary, 'wx', 0o600)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    chmodSync(temporary, 0o600)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

function readJson(path: string): Json | undefined {
  let text: string
  try {
    text = readSmallFile(path, LONGEST).toString('utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new UpstreamError('failed', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  }
  return text.trim() === '' ? {} : parseObject(text, path)
}

function parseObject(text: string, where: string): Json {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    // The parser's message may quote what is in the file: secrets.
    throw new UpstreamError('failed', `${where} is not valid JSON`, { cause: error })
  }
  if (!isObject(json)) throw new UpstreamError('failed', `${where} holds no JSON object`)
  return json
}

function credentialsIn(json: Json): CredentialFile {
  return {
    auths: isObject(json.auths) ? (json.auths as Record<string, AuthEntry>) : {},
    credsStore: typeof json.credsStore === 'string' && json.credsStore !== '' ? json.credsStore : undefined,
    credHelpers: isObject(json.credHelpers) ? (json.credHelpers as Record<string, string>) : {},
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
